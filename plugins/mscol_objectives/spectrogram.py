"""What objectives that change features need of an encoder's front end."""

from __future__ import annotations

import math

from torch import Tensor

from mscol_cli.api import UsageError

LOG_FLOOR = math.log(1e-5)


def require_spectrogram(features: Tensor, objective: str) -> None:
    """Refuse features that are not (batch, frames, bands).

    Raises:
        UsageError: The encoder's front end gives something else, such as raw audio.
    """
    if features.dim() != 3:
        raise UsageError(
            f"objective '{objective}' changes spectrograms (batch, frames, bands), but this"
            f" encoder's front end gives {features.dim()} axes: choose another encoder."
        )
