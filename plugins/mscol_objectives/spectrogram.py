"""Requirements of objectives that change features on the encoder's front end."""

from __future__ import annotations

import math

from torch import Tensor

from mscol_cli.api import UsageError

LOG_FLOOR = math.log(1e-5)


def require_spectrogram(features: Tensor, objective: str) -> None:
    """Check that features are (batch, frames, bands).

    Raises:
        UsageError: The front end of the encoder returns another shape, such as raw audio.
    """
    if features.dim() != 3:
        raise UsageError(
            f"objective '{objective}' changes spectrograms (batch, frames, bands), but this"
            f" encoder's front end returns {features.dim()} axes: choose another encoder."
        )
