"""How loud a waveform is when an encoder sees it: decided per whole clip, never per crop."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Level = Literal["norm", "rms", "none"]
"""`norm`: the whole clip at L2 norm 1, as published. `rms`: at the root mean square that a clip of
MagnaTagATune has at L2 norm 1, whatever its length. `none`: as in the file, full scale 1."""

EPSILON = 1e-9
REFERENCE_RMS = 1.465e-3
"""Of a clip of 29.1 s at 16 kHz whose L2 norm is 1."""


def level_factor(
    level: Level, norm: NDArray[np.float64] | float, samples: NDArray[np.int64] | int
) -> NDArray[np.float64]:
    """What to multiply clips by.

    Args:
        level: See `Level`.
        norm: L2 norms of whole clips.
        samples: Their lengths at 16 kHz, or at any one rate; of a shape that broadcasts.
    """
    if level == "none":
        return np.ones_like(norm)
    factor = 1.0 / (np.asarray(norm, dtype=np.float64) + EPSILON)
    return factor * REFERENCE_RMS * np.sqrt(samples) if level == "rms" else factor
