"""Waveforms of any length in bounded memory: long ones are read once for their level, once more for
their windows."""

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

from mscol_cli.audio.mono import mono_pieces
from mscol_cli.errors import BadInputError, input_failure
from mscol_cli.system.prefetch import streams_ahead

FloatArray = NDArray[np.float32]
Pieces = Callable[[], Iterator[FloatArray]]
"""Starts a waveform from its beginning, (samples,) at a time."""

HELD = 1 << 24
"""Samples of a waveform that is held in memory: 17 minutes at 16 kHz, 64 MiB."""


@dataclass(frozen=True)
class LongWaveform:
    """A waveform that is not held in memory.

    Attributes:
        samples: How many.
        norm: L2 norm of all of them.
        pieces: Reads them again.
    """

    samples: int
    norm: float
    pieces: Pieces

    def __len__(self) -> int:
        return self.samples


Waveform = FloatArray | LongWaveform


def load_waveform(
    path: Path, sample_rate: int, warn: Callable[[str], None] | None = None
) -> Waveform:
    """Decode a file to mono at `sample_rate` Hz; one longer than `HELD` is only measured.

    Args:
        path: The file.
        sample_rate: Hz.
        warn: As of `read_audio`.

    Raises:
        BadInputError: As `read_audio`; `LongWaveform.pieces` raises nothing else.
    """
    pieces = partial(_file_pieces, path, sample_rate)
    return held_or_measured(pieces, partial(mono_pieces, path, sample_rate, warn))


def held_or_measured(pieces: Pieces, first: Pieces | None = None) -> Waveform:
    """Read a waveform once, and keep it if it has at most `HELD` samples.

    Args:
        pieces: Reads a long one again.
        first: Reads it now; by default `pieces` does.
    """
    kept: list[FloatArray] = []
    samples, energy = 0, 0.0
    for piece in (first or pieces)():
        samples += len(piece)
        energy += float(np.einsum("i,i->", piece, piece, dtype=np.float64))
        kept.append(piece)
        if samples > HELD:
            kept.clear()
    return LongWaveform(samples, sqrt(energy), pieces) if samples > HELD else _joined(kept)


def cut_windows(
    name: str, waveform: LongWaveform, starts: NDArray[np.int64], size: int, most: int
) -> Iterator[Tensor]:
    """Windows of a long waveform, (windows, size) with at most that many windows at a time.

    Args:
        name: What messages call it.
        waveform: Read again in a thread, one piece ahead.
        starts: First samples of the windows; memory stays bounded where they about ascend.
        size: Samples of a window.
        most: Windows at a time.

    Raises:
        BadInputError: It cannot be read again, or became shorter.
    """
    # What no later window starts before is let go of.
    needed = np.minimum.accumulate(starts[::-1])[::-1]
    for _, pieces in streams_ahead(lambda long: long.pieces(), [waveform], 1):
        buffer, first = np.zeros(0, dtype=np.float32), 0
        for row in range(0, len(starts), most):
            part = starts[row : row + most]
            end = int(part.max()) + size
            buffer = _filled(buffer, end - first, pieces)
            if first + len(buffer) < end:
                raise BadInputError(f"{name}: became shorter while it was read; try again")
            # Not before it is filled: the next window may start behind what is there.
            buffer, first = buffer[needed[row] - first :], int(needed[row])
            yield torch.from_numpy(buffer).unfold(0, size, 1)[torch.from_numpy(part - first)]


def _filled(buffer: FloatArray, samples: int, pieces: Iterator[FloatArray]) -> FloatArray:
    """The buffer with more pieces, until it has so many samples or there are no more."""
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
