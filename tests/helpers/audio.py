"""Small synthetic audio files for tests."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


def tones(
    seconds: float, rate: int = 16000, channels: int = 1, seed: int = 0
) -> NDArray[np.float32]:
    """A few sines and some noise, (channels, samples), peak below 1, each channel different."""
    samples: NDArray[np.float32] = _tones(seconds, rate, channels, seed).copy()
    return samples


@lru_cache(maxsize=64)
def _tones(seconds: float, rate: int, channels: int, seed: int) -> NDArray[np.float32]:
    # Most tests of a file start from the same sounds.
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    frequencies = rng.uniform(80.0, rate / 5, size=(channels, 3, 1))
    waves = np.sin(2 * np.pi * frequencies * time).sum(axis=1) / 5
    noisy: NDArray[np.float32] = (waves + 0.05 * rng.standard_normal(waves.shape)).astype(
        np.float32
    )
    return noisy


def write_audio(path: Path, samples: NDArray[np.float32], rate: int = 16000) -> Path:
    """Write (channels, samples) as 16-bit, or as float where the suffix is `.wav`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if path.suffix == ".wav" else None
    soundfile.write(path, samples.T, rate, subtype=subtype)
    return path


def write_short(path: Path, samples: NDArray[np.float32]) -> Path:
    """Write the first half of an MP3, whose header declares all of it."""
    write_audio(path, samples)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path
