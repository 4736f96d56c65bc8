"""Streaming decoder to mono at one sample rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mscol_cli.audio.decode import FloatArray, OnShort, open_audio
from mscol_cli.audio.resample import StreamResampler

PIECE = 1 << 23
"""Samples per piece, before resampling: three minutes at 44.1 kHz. A shorter file is one piece and
is resampled at once, as by `load_mono`."""


def mono_pieces(
    path: Path, sample_rate: int, on_short: OnShort | None = None
) -> Iterator[FloatArray]:
    """Decode a file piece by piece, average its channels and resample it.

    The concatenated pieces equal the result of `load_mono`, to rounding.

    Args:
        path: The file.
        sample_rate: Sample rate of the pieces in Hz.
        on_short: As for `read_audio`.

    Yields:
        Pieces of shape (samples,).

    Raises:
        BadInputError: As `read_audio`.
    """
    with open_audio(path) as stream:
        blocks = stream.blocks(rate=sample_rate)
        mono = (block.mean(axis=0, dtype=np.float32) for block in blocks)
        # At a low sample rate, few samples become a long piece.
        samples = int(PIECE * min(1.0, stream.sample_rate / sample_rate))
        yield from resampled_pieces(_gathered(mono, samples), stream.sample_rate, sample_rate)
        if on_short is not None and stream.shortfall is not None:
            on_short(stream.shortfall)


def resampled_pieces(
    pieces: Iterable[FloatArray], source_rate: int, target_rate: int
) -> Iterator[FloatArray]:
    """Resample a waveform given as one or more pieces (samples,); rates are in Hz."""
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
    """Join blocks to pieces of at least `samples` samples, except for the last."""
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
