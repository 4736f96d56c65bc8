"""The encoder of CLMR: SampleCNN, on raw audio."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torchaudio.transforms import Resample

from mscol_cli.api import Encoder, NoOptions

SAMPLE_RATE, NETWORK_RATE = 16_000, 22_050
"""Hz, of the crops and of the network's input."""
NETWORK_SAMPLES = 3**10
"""59,049, or 2.68 s: ten layers reduce the length by 3 each, to one vector."""
CROP_SAMPLES = 42_847
"""Smallest number of samples at 16 kHz that gives as many at 22,050 Hz."""
WIDTHS = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512)


class SampleCNN(Encoder):
    """SampleCNN as in CLMR (arXiv 2103.09410), 2.4 million parameters, 512 dimensions.

    Eleven convolutions of kernel 3, each followed by batch normalisation and ReLU. The first has a
    stride of 3, each of the next nine is followed by max-pooling of 3, and the last has an input of
    length 1. Weights and batch normalisation have torch's defaults, as in the authors' code. Their
    projection is part of the objective here.

    The network sees raw audio at 22,050 Hz and full scale 1. CLMR resamples whole clips beforehand;
    here crops are resampled, on the device, so that one store serves every encoder. On
    MagnaTagATune, whose clips are 16 kHz, that is the same signal: nothing above 8 kHz is lost by
    keeping them so, and only within the filter's reach of a crop's ends, seven samples, does it see
    silence in place of the clip. Windows follow each other without overlap and the last partial one
    is dropped, as in CLMR's evaluation; they advance by 59,049 samples there and by 59,048.5 here.
    """

    sample_rate = SAMPLE_RATE
    crop_samples = CROP_SAMPLES
    window_hop = CROP_SAMPLES
    start_grid = 1
    dim = WIDTHS[-1]
    level = "none"

    def __init__(self, options: NoOptions) -> None:
        super().__init__()
        self.resample = _resampler()
        self.network = nn.Sequential(
            _layer(1, WIDTHS[0], stride=3, padding=0),
            *(
                nn.Sequential(_layer(before, after), nn.MaxPool1d(3))
                for before, after in pairwise(WIDTHS)
            ),
            _layer(self.dim, self.dim),
        )

    def frontend(self, waveforms: Tensor) -> Tensor:
        """Waveforms (batch, 42,847) at 16 kHz to waveforms (batch, 59,049) at 22,050 Hz."""
        resampled: Tensor = self.resample(waveforms)
        return resampled[:, :NETWORK_SAMPLES]

    def forward(self, features: Tensor) -> Tensor:
        """Waveforms (batch, 59,049) at 22,050 Hz to embeddings (batch, 512)."""
        embeddings: Tensor = self.network(features.unsqueeze(1))
        return embeddings.squeeze(2)


def _layer(before: int, after: int, stride: int = 1, padding: int = 1) -> nn.Sequential:
    conv = nn.Conv1d(before, after, kernel_size=3, stride=stride, padding=padding)
    return nn.Sequential(conv, nn.BatchNorm1d(after), nn.ReLU())


def _resampler() -> Any:
    # In single precision torchaudio's filter has errors of 6e-5.
    resample = Resample(SAMPLE_RATE, NETWORK_RATE, dtype=torch.float64)
    # The kernel is computed, not learned: checkpoints do not contain it.
    resample.register_buffer("kernel", resample.kernel.float(), persistent=False)
    return resample
