"""Statistics of the log-mel: a baseline without weights."""

from __future__ import annotations

import torch
from torch import Tensor

from mscol_encoders.logmel import N_MELS, LogMelEncoder


class LogMelStatistics(LogMelEncoder):
    """Mean and standard deviation of each log-mel band over the frames of a crop, 128 dimensions.

    It has no weights. What a trained encoder is worth shows beside it: an encoder that is not above
    it has learned nothing that the spectrum does not tell.
    """

    dim = 2 * N_MELS

    def forward(self, features: Tensor) -> Tensor:
        """Log-mel (batch, frames, 64) to means and standard deviations (batch, 128)."""
        return torch.cat([features.mean(1), features.std(1, correction=0)], dim=1)
