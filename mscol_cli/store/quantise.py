"""Sixteen bits for each source of its own: its peak is full scale, so quiet stems keep detail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mscol_cli.store.spool import Samples, blocks

FULL_SCALE = 32767
"""The int16 that a waveform's own peak becomes."""
_SILENCE = 1e-20


@dataclass(frozen=True)
class Extent:
    """How large a waveform is.

    Attributes:
        peak: The largest |x|; not finite if some sample is not.
        norm: L2 norm, summed in double precision.
    """

    peak: float
    norm: float

    @property
    def gain(self) -> float:
        """The factor that makes the int16 of `quantise` the waveform again; zero for a waveform
        without a sample above 1e-20."""
        return 0.0 if self.peak < _SILENCE else self.peak / FULL_SCALE


def extent(waveform: Samples) -> Extent:
    """Look once at all of a waveform, block by block."""
    peak, square = 0.0, 0.0
    for block in blocks(waveform):
        peak = float(np.fmax(peak, max(block.max(), -block.min())))
        square += float(np.einsum("i,i->", block, block, dtype=np.float64))
        if not np.isfinite(square):
            return Extent(square, square)
    return Extent(peak, float(np.sqrt(square)))


def quantise(waveform: Samples, peak: float) -> Iterator[NDArray[np.int16]]:
    """A waveform of that peak as int16, block by block; all zero for one that is silent."""
    scale = np.float32(0.0 if peak < _SILENCE else FULL_SCALE / peak)
    for block in blocks(waveform):
        yield np.rint(block * scale).astype(np.int16)
