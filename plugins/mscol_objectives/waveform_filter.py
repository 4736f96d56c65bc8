"""High-pass and low-pass filters with a cut-off frequency per row."""

from __future__ import annotations

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from mscol_objectives.waveform_steps import Drawn, Step

HIGH_PASS, LOW_PASS = (200.0, 1200.0), (2200.0, 4000.0)
"""Hz, ranges of the cut-off frequency."""
PERIODS = 4
"""Half length of a filter, in periods of the cut-off frequency: eight zero crossings."""


class HighOrLowPass(Step):
    """A high-pass of 200 to 1200 Hz or a low-pass of 2200 to 4000 Hz, with equal probability.

    The low-pass is a sinc with a Hann window, with eight zero crossings on either side and unit
    sum; the high-pass subtracts it from the waveform. Ends are padded with their last sample. This
    equals `julius.lowpass_filter` and `highpass_filter`, which CLMR's augmentations use.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The cut-off frequency in Hz, and 1 for a high-pass or 0 for a low-pass."""
        high = rng.random(rows) < 0.5
        cutoff = np.where(high, rng.uniform(*HIGH_PASS, rows), rng.uniform(*LOW_PASS, rows))
        return np.stack([cutoff, high], axis=1)

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Filter each row."""
        low = low_pass(waveforms, drawn[:, 0] / self.sample_rate, self._half_size)
        return torch.where(drawn[:, 1:] > 0, waveforms - low, low)

    @property
    def _half_size(self) -> int:
        return int(PERIODS * self.sample_rate / HIGH_PASS[0])


def low_pass(waveforms: Tensor, cutoff: Tensor, half_size: int) -> Tensor:
    """Low-pass waveforms, keeping their length.

    Args:
        waveforms: (rows, samples).
        cutoff: (rows,) in cycles per sample.
        half_size: Samples on either side of the centre of the longest filter.

    Returns:
        (rows, samples).
    """
    padded = F.pad(waveforms[:, None], (half_size, half_size), mode="replicate")[:, 0]
    size = next_fast_len(padded.shape[1], real=True)
    kernel = windowed_sinc(cutoff, half_size).to(waveforms.dtype)
    product = torch.fft.rfft(padded, n=size) * torch.fft.rfft(kernel, n=size)
    filtered: Tensor = torch.fft.irfft(product, n=size)
    return filtered[:, 2 * half_size : padded.shape[1]]


def windowed_sinc(cutoff: Tensor, half_size: int) -> Tensor:
    """Low-pass filters of unit sum, zero outside their windows.

    Args:
        cutoff: (rows,) in cycles per sample.
        half_size: Samples on either side of the centre.

    Returns:
        (rows, 2 * half_size + 1).
    """
    time = torch.arange(-half_size, half_size + 1, device=cutoff.device).to(cutoff.dtype)
    half_window = (PERIODS / cutoff).floor()[:, None]
    window = 0.5 + 0.5 * torch.cos(torch.pi * time / half_window)
    kernel = torch.sinc(2.0 * cutoff[:, None] * time) * window
    kernel = kernel.masked_fill(time.abs() > half_window, 0.0)
    return kernel / kernel.sum(dim=1, keepdim=True)
