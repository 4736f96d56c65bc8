"""Training data for bench/train_mini.py: mixtures of synthesised and real songs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.audio import read_audio, resample_array
from mscol_cli.synthetic import render_song, style_names
from mscol_separators import mini

Stems = dict[str, NDArray[np.float32]]
"""Waveforms by target, (samples,) or (channels, samples) at 16 kHz."""

TRAINING, HELD_OUT = 7001, 7002
SONG_SECONDS = 10
CROP_SECONDS = 4
CROP = CROP_SECONDS * mini.SAMPLE_RATE
GAIN_DB = (-10.0, 5.0)
REAL, COHERENT, ABSENT = 0.25, 0.5, 0.1
QUIET = 1e-3


def synthetic_songs(stream: int, amount: int) -> Iterator[Stems]:
    """Songs in alternating styles; each stem is (samples,) at 16 kHz."""
    styles = style_names()
    for number in range(amount):
        style = styles[number % len(styles)]
        rate, seed = mini.SAMPLE_RATE, (stream, number)
        yield render_song(style, seconds=SONG_SECONDS, sample_rate=rate, seed=seed).stems


def real_song(folder: Path) -> Stems:
    """Read the stems of a folder, (channels, samples) each at 16 kHz."""
    stems = {}
    for target in mini.TARGETS:
        path = min(folder.glob(f"{target}.*"), default=None)
        if path is None:
            raise SystemExit(f"{folder} has no {target}.*: give folders of four stems")
        audio = read_audio(path)
        stems[target] = resample_array(audio.samples, audio.sample_rate, mini.SAMPLE_RATE)
        if stems[target].shape[-1] < CROP:
            raise SystemExit(f"{path} is shorter than a crop of {CROP_SECONDS} s")
    return stems


class Music:
    """Samples mixtures with their stems."""

    def __init__(self, synthetic: Sequence[Stems], real: Sequence[Stems], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.songs: tuple[Sequence[Stems], Sequence[Stems]] = (synthetic, real)
        self.sounding = {
            (kind, target): [song for song in songs if np.abs(song[target]).max() > QUIET]
            for kind, songs in enumerate(self.songs)
            for target in mini.TARGETS
        }

    def batch(self, size: int) -> Tensor:
        """Scaled stems, (size, targets, samples) at 16 kHz; their sum is the mixture."""
        return torch.from_numpy(np.stack([self._item() for _ in range(size)]))

    def _item(self) -> NDArray[np.float32]:
        crops = self._one_song() if self.rng.random() < COHERENT else self._any_songs()
        level = self.rng.uniform(*GAIN_DB, size=(len(crops), 1)) / 20.0
        return np.stack(crops) * (10.0**level).astype(np.float32)

    def _one_song(self) -> list[NDArray[np.float32]]:
        songs = self.songs[self._kind()]
        song, position = songs[int(self.rng.integers(len(songs)))], self.rng.random()
        return [self._crop(song[target], position) for target in mini.TARGETS]

    def _any_songs(self) -> list[NDArray[np.float32]]:
        return [self._stem(target) for target in mini.TARGETS]

    def _stem(self, target: str) -> NDArray[np.float32]:
        songs = self.sounding[self._kind(), target] or self.sounding[0, target]
        song = songs[int(self.rng.integers(len(songs)))]
        crop = self._crop(song[target], self.rng.random())
        return crop if self.rng.random() >= ABSENT else np.zeros_like(crop)

    def _kind(self) -> int:
        return int(bool(self.songs[1]) and self.rng.random() < REAL)

    def _crop(self, audio: NDArray[np.float32], position: float) -> NDArray[np.float32]:
        start = int(position * (audio.shape[-1] - CROP))
        crop = audio[..., start : start + CROP]
        return crop if crop.ndim == 1 else crop[0] + (crop[-1] - crop[0]) * self._balance()

    def _balance(self) -> NDArray[np.float32]:
        return np.asarray(self.rng.random(), np.float32)
