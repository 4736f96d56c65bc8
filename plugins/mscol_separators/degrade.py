"""Degrade true stems in ways that are typical of separators."""

from __future__ import annotations

import torch
from torch import Tensor

TAPS = 1023
"""Length of the low-pass filter, odd so that its delay is a whole number of samples."""
_BLOCK = 1 << 14


def bleed(stem: Tensor, mixture: Tensor, level_db: float) -> Tensor:
    """Add the rest of the mixture to a stem.

    Args:
        stem: (channels, samples).
        mixture: (channels, samples).
        level_db: Level of the rest relative to the mixture, dB.

    Returns:
        (channels, samples).
    """
    gain: float = 10.0 ** (level_db / 20.0)
    return stem + gain * (mixture - stem)


def low_pass(waveform: Tensor, cutoff: float, sample_rate: int) -> Tensor:
    """Apply a windowed-sinc low-pass without delay, -6 dB at the cut-off.

    Args:
        waveform: (channels, samples).
        cutoff: Hz.
        sample_rate: Hz.

    Returns:
        (channels, samples).
    """
    samples = waveform.shape[-1]
    # Lengths with large prime factors are slow to transform.
    size = -(-(samples + TAPS) // _BLOCK) * _BLOCK
    response = torch.fft.rfft(_kernel(cutoff / sample_rate).to(waveform), size)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveform, size) * response, size)
    return filtered.narrow(-1, TAPS // 2, samples)


def _kernel(cutoff: float) -> Tensor:
    """Filter (TAPS,) float64 for a cut-off in cycles per sample."""
    time = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    window = torch.blackman_window(TAPS, periodic=False, dtype=torch.float64)
    kernel = torch.sinc(2 * cutoff * time) * window
    kernel /= kernel.sum()
    return kernel
