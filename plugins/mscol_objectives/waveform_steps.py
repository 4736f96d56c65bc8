"""Steps of a chain that changes waveforms: what a step is, and those of one line."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Drawn = NDArray[np.float64]


class Step(nn.Module):
    """One change of waveforms, which each row undergoes with parameters of its own."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """Parameters of every row, (rows, parameters)."""

    @abstractmethod
    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Change waveforms (rows, samples); `drawn` is (rows, parameters) float64."""


class Polarity(Step):
    """Turns waveforms upside down."""

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The factor, -1."""
        return np.full((rows, 1), -1.0)

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Multiply by the factor."""
        return waveforms * drawn.to(waveforms.dtype)


class Noise(Step):
    """Adds white noise, 40 to 80 dB below the crop: a uniform 1e-4 to 1e-2 of its deviation."""

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The share of the crop's standard deviation, and the seed of the noise."""
        return np.stack([rng.uniform(1e-4, 1e-2, rows), rng.integers(2**32, size=rows)], axis=1)

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Add the noise of each row's seed, the same on every device."""
        seeds = drawn[:, 1].long().tolist()
        noise = torch.stack([_normal(seed, waveforms.shape[1]) for seed in seeds])
        deviation = waveforms.std(dim=1, keepdim=True) * drawn[:, :1].to(waveforms.dtype)
        return waveforms + deviation * noise.to(waveforms)


class Gain(Step):
    """Turns down by a uniform 1 to 20 dB."""

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The gain, in dB."""
        return rng.uniform(-20.0, -1.0, (rows, 1))

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Multiply by the gain."""
        return waveforms * (10.0 ** (drawn / 20.0)).to(waveforms.dtype)


class Delay(Step):
    """Adds the waveform at half its level 200, 250, ... or 450 ms later, and halves the sum."""

    volume = 0.5

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The delay, in ms."""
        drawn: Drawn = rng.integers(4, 10, (rows, 1)) * np.float64(50.0)
        return drawn

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Add the delayed waveform, which is silent before it begins."""
        delay = (drawn * self.sample_rate / 1000.0).long()
        place = torch.arange(waveforms.shape[1], device=waveforms.device) - delay
        delayed = waveforms.gather(1, place.clamp(min=0)).masked_fill(place < 0, 0.0)
        return (waveforms + self.volume * delayed) / 2.0


def _normal(seed: int, samples: int) -> Tensor:
    # Drawn on the CPU: a GPU's generator gives other numbers. Rows with noise are rare.
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed))
