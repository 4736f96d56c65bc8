"""Levels to which clips are scaled: by one factor per clip, never per crop."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Level = Literal["norm", "rms", "none"]
"""`norm`: the clip has L2 norm 1, as published. `rms`: the clip has the root mean square that a
clip of MagnaTagATune has at L2 norm 1, independent of its length. `none`: as in the file, full
scale 1."""

EPSILON = 1e-9
REFERENCE_RMS = 1.465e-3
"""RMS of a clip of 29.1 s at 16 kHz whose L2 norm is 1."""


def level_factor(
    level: Level, norm: NDArray[np.float64] | float, samples: NDArray[np.int64] | int
) -> NDArray[np.float64]:
    """Factors by which clips are multiplied.

    Args:
        level: See `Level`.
        norm: (...) L2 norms of clips.
        samples: Lengths at 16 kHz, or at one other rate, in samples; broadcast against `norm`.

    Returns:
        (...) factors.
    """
    if level == "none":
        return np.ones_like(norm)
    factor = 1.0 / (np.asarray(norm, dtype=np.float64) + EPSILON)
    return factor * REFERENCE_RMS * np.sqrt(samples) if level == "rms" else factor
