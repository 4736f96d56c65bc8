"""Steps of a chain of waveform augmentations: the base class, and the short steps."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Drawn = NDArray[np.float64]


class Step(nn.Module):
    """A waveform augmentation with parameters per row."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """Draw parameters (rows, parameters) float64."""

    @abstractmethod
    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Change waveforms (rows, samples); `drawn` is (rows, parameters) float64."""


class Polarity(Step):
    """Inverts the polarity."""

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The factor, -1."""
        return np.full((rows, 1), -1.0)

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Multiply by the factor."""
        return waveforms * drawn.to(waveforms.dtype)


class Noise(Step):
    """Adds white noise, with a uniform 1e-4 to 1e-2 of the crop's standard deviation."""

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The share of the crop's standard deviation, and the seed of the noise."""
        return np.stack([rng.uniform(1e-4, 1e-2, rows), rng.integers(2**32, size=rows)], axis=1)

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Add noise from each row's seed, identical on all devices."""
        seeds = drawn[:, 1].long().tolist()
        noise = torch.stack([_normal(seed, waveforms.shape[1]) for seed in seeds])
        deviation = waveforms.std(dim=1, keepdim=True) * drawn[:, :1].to(waveforms.dtype)
        return waveforms + deviation * noise.to(waveforms)


class Gain(Step):
    """Attenuates by a uniform 1 to 20 dB."""

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The gain, in dB."""
        return rng.uniform(-20.0, -1.0, (rows, 1))

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Multiply by the gain."""
        return waveforms * (10.0 ** (drawn / 20.0)).to(waveforms.dtype)


class Delay(Step):
    """Adds the waveform at half its level, delayed by 200, 250, ... 450 ms, and halves the sum."""

    volume = 0.5

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The delay, in ms."""
        drawn: Drawn = rng.integers(4, 10, (rows, 1)) * np.float64(50.0)
        return drawn

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Add the delayed waveform."""
        delay = (drawn * self.sample_rate / 1000.0).long()
        index = torch.arange(waveforms.shape[1], device=waveforms.device) - delay
        delayed = waveforms.gather(1, index.clamp(min=0)).masked_fill(index < 0, 0.0)
        return (waveforms + self.volume * delayed) / 2.0


def _normal(seed: int, samples: int) -> Tensor:
    # On the CPU, as a GPU's generator returns other numbers. Rows with noise are rare.
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed))
