"""Waveforms of any length in bounded memory: a long waveform is read once for its level and again
for its windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import sqrt
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.audio.decode import FloatArray, OnShort
from mscol_cli.audio.mono import mono_pieces
from mscol_cli.errors import BadInputError
from mscol_cli.system.outcomes import input_failure
from mscol_cli.system.prefetch import streams_ahead

Pieces = Callable[[], Iterator[FloatArray]]
"""Reads a waveform from its beginning, in pieces (samples,)."""

MAX_IN_MEMORY = 1 << 24
"""Maximum samples of a waveform in memory: 17 minutes at 16 kHz, 64 MiB."""


@dataclass(frozen=True)
class LongWaveform:
    """A waveform that is too long for memory.

    Attributes:
        samples: Number of samples.
        norm: L2 norm.
        pieces: Reads the samples again.
    """

    samples: int
    norm: float
    pieces: Pieces

    def __len__(self) -> int:
        return self.samples


Waveform = FloatArray | LongWaveform


def load_waveform(path: Path, sample_rate: int, on_short: OnShort | None = None) -> Waveform:
    """Decode a file to mono; if it exceeds `MAX_IN_MEMORY` samples, only measure it.

    Args:
        path: The file.
        sample_rate: Sample rate of the result in Hz.
        on_short: As for `read_audio`; it is called before this function returns.

    Raises:
        BadInputError: As `read_audio`; `LongWaveform.pieces` raises nothing else.
    """
    pieces = partial(_file_pieces, path, sample_rate)
    return read_or_measure(pieces, partial(mono_pieces, path, sample_rate, on_short))


def read_or_measure(pieces: Pieces, first: Pieces | None = None) -> Waveform:
    """Read a waveform once, and return it if it has at most `MAX_IN_MEMORY` samples.

    Args:
        pieces: Reads a long waveform again.
        first: Reads the waveform the first time; None for `pieces`.
    """
    kept: list[FloatArray] = []
    samples, energy = 0, 0.0
    for piece in (first or pieces)():
        samples += len(piece)
        energy += float(np.einsum("i,i->", piece, piece, dtype=np.float64))
        kept.append(piece)
        if samples > MAX_IN_MEMORY:
            kept.clear()
    if samples > MAX_IN_MEMORY:
        return LongWaveform(samples, sqrt(energy), pieces)
    return _joined(kept)


def cut_windows(
    name: str, waveform: LongWaveform, starts: NDArray[np.int64], size: int, limit: int
) -> Iterator[Tensor]:
    """Yield the windows of a long waveform, (windows, size) with at most `limit` windows.

    Args:
        name: Name in messages.
        waveform: The waveform; it is read again in a thread, one piece ahead.
        starts: (windows,) first samples; memory is bounded if they are roughly ascending.
        size: Samples of a window.
        limit: Maximum windows at a time.

    Raises:
        BadInputError: The waveform cannot be read again, or became shorter.
    """
    # Samples before the start of all later windows are dropped.
    needed = np.minimum.accumulate(starts[::-1])[::-1]
    for _, pieces in streams_ahead(lambda long: long.pieces(), [waveform], 1):
        buffer, first = np.zeros(0, dtype=np.float32), 0
        for row in range(0, len(starts), limit):
            part = starts[row : row + limit]
            end = int(part.max()) + size
            buffer = _filled(buffer, end - first, pieces)
            if first + len(buffer) < end:
                raise BadInputError(f"{name}: became shorter while it was read; try again")
            # Dropped after filling: the next window may start after the end of the buffer.
            buffer, first = buffer[needed[row] - first :], int(needed[row])
            yield torch.from_numpy(buffer).unfold(0, size, 1)[torch.from_numpy(part - first)]


def _filled(buffer: FloatArray, samples: int, pieces: Iterator[FloatArray]) -> FloatArray:
    """Append pieces to the buffer until it has `samples` samples or no piece is left."""
    parts, length = [buffer], len(buffer)
    while length < samples and (piece := next(pieces, None)) is not None:
        parts.append(piece)
        length += len(piece)
    return _joined(parts)


def _joined(parts: list[FloatArray]) -> FloatArray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _file_pieces(path: Path, sample_rate: int) -> Iterator[FloatArray]:
    try:
        yield from mono_pieces(path, sample_rate)
    except Exception as error:
        raise input_failure(str(path), error) from None
