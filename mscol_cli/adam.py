"""What makes torch's Adam the one of Keras, with which the published models were trained."""

from __future__ import annotations

import math

BETAS = (0.9, 0.999)
EPSILON = 1e-7


def keras_epsilon(step: int) -> float:
    """Epsilon of an update (counted from 0) for torch's Adam.

    Keras adds 1e-7 to the root of the second moment before the bias of that is corrected, torch
    adds its epsilon after.
    """
    return EPSILON / math.sqrt(1 - BETAS[1] ** (step + 1))
