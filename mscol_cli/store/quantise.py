"""Sixteen bits for each source of its own: its peak is full scale, so quiet stems keep detail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 32767
"""The int16 that a waveform's own peak becomes."""
_SILENCE = 1e-20


def quantise(waveform: NDArray[np.float32]) -> tuple[NDArray[np.int16], float]:
    """(samples,) float32 to int16 and the factor that makes it the waveform again.

    The factor is zero for a waveform without a sample above 1e-20.
    """
    peak = float(max(waveform.max(), -waveform.min()))
    if peak < _SILENCE:
        return np.zeros(len(waveform), dtype=np.int16), 0.0
    steps = np.rint(waveform * np.float32(FULL_SCALE / peak))
    return steps.astype(np.int16), peak / FULL_SCALE


def l2_norm(waveform: NDArray[np.float32]) -> float:
    """L2 norm of (samples,), summed in double precision."""
    return float(np.sqrt(np.einsum("i,i->", waveform, waveform, dtype=np.float64)))
