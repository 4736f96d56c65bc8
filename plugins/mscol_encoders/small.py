"""A small encoder for experiments without a GPU."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from mscol_encoders.logmel import N_MELS, LogMelEncoder, as_image, channels_last
from mscol_encoders.options import LogMelOptions

FEATURE_MEAN, FEATURE_STD = -5.0, 3.0
"""Approximate statistics of log-mels of clips at L2 norm 1, used to normalise the input."""
WIDTHS = (16, 32, 64, 128)
BANDS_LEFT = N_MELS >> len(WIDTHS)


class SmallEncoder(LogMelEncoder):
    """Five convolutions, 163,000 parameters, 256 dimensions.

    Four convolutions halve time and frequency; a fifth spans the remaining four bands, so that the
    position in frequency is kept. The embedding concatenates mean and maximum over time.
    """

    dim = 2 * WIDTHS[-1]

    def __init__(self, options: LogMelOptions) -> None:
        super().__init__(options)
        self.stem = _halving(1, WIDTHS[0], kernel=5)
        self.blocks = nn.Sequential(
            *(_halving(before, after) for before, after in pairwise(WIDTHS)),
            nn.Conv2d(WIDTHS[-1], WIDTHS[-1], (1, BANDS_LEFT), bias=False),
            nn.BatchNorm2d(WIDTHS[-1]),
            nn.ReLU(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Log-mel (batch, frames, 64) to embeddings (batch, 256)."""
        scaled = (features - FEATURE_MEAN) / FEATURE_STD
        stem = channels_last(self.stem(as_image(scaled)))
        over_time = self.blocks(stem).squeeze(3)
        return torch.cat([over_time.mean(dim=2), over_time.amax(dim=2)], dim=1)


def _halving(before: int, after: int, kernel: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())
