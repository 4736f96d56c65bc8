"""Mono waveforms at one sample rate, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mscol_cli.audio.decode import open_audio
from mscol_cli.audio.resample import StreamResampler

FloatArray = NDArray[np.float32]

PIECE = 1 << 23
"""Samples before resampling. Whatever lasts three minutes at 44.1 kHz is one piece, and so is
resampled at once, as `load_mono` does."""


def mono_pieces(
    path: Path, sample_rate: int, warn: Callable[[str], None] | None = None
) -> Iterator[FloatArray]:
    """Decode a file, average its channels and resample to `sample_rate` Hz, (samples,) at a time.

    Put together, the pieces are what `load_mono` returns, to rounding.

    Args:
        path: The file.
        sample_rate: Hz.
        warn: As of `read_audio`.

    Raises:
        BadInputError: As `read_audio`.
    """
    with open_audio(path) as stream:
        blocks = stream.blocks(rate=sample_rate)
        mono = (block.mean(axis=0, dtype=np.float32) for block in blocks)
        # A low sample rate makes long pieces of few samples.
        samples = int(PIECE * min(1.0, stream.sample_rate / sample_rate))
        yield from resampled_pieces(_gathered(mono, samples), stream.sample_rate, sample_rate)
        if warn is not None and stream.shortfall is not None:
            warn(f"short {path}: {stream.shortfall}")


def resampled_pieces(
    pieces: Iterable[FloatArray], source_rate: int, target_rate: int
) -> Iterator[FloatArray]:
    """Resample a waveform that comes as pieces (samples,), at least one."""
    import torch

    resampler = StreamResampler(source_rate, target_rate)
    before: FloatArray | None = None
    for piece in pieces:
        if before is not None:
            yield resampler.push(torch.from_numpy(before)).numpy()
        before = piece
    assert before is not None
    yield resampler.push(torch.from_numpy(before), last=True).numpy()


def _gathered(blocks: Iterable[FloatArray], samples: int) -> Iterator[FloatArray]:
    """The same waveform in pieces of at least so many samples, but for the last."""
    waiting: list[FloatArray] = []
    length = 0
    for block in blocks:
        waiting.append(block)
        length += len(block)
        if length >= samples:
            yield np.concatenate(waiting)
            waiting, length = [], 0
    if waiting:
        yield np.concatenate(waiting)
