"""True stems made worse in ways that separators make theirs."""

from __future__ import annotations

import torch
from torch import Tensor

TAPS = 1023
"""Of the low-pass filter, an odd number: it delays nothing."""
_BLOCK = 1 << 14


def bleed(stem: Tensor, mixture: Tensor, level_db: float) -> Tensor:
    """A stem that carries the rest of its mixture.

    Args:
        stem: (channels, samples).
        mixture: The same.
        level_db: Of what bleeds, against how it sounds in the mixture.
    """
    gain: float = 10.0 ** (level_db / 20.0)
    return stem + gain * (mixture - stem)


def low_pass(waveform: Tensor, cutoff: float, sample_rate: int) -> Tensor:
    """A windowed-sinc low-pass of linear phase, its delay taken out: -6 dB at the cut-off.

    Args:
        waveform: (channels, samples).
        cutoff: Hz.
        sample_rate: Hz.
    """
    samples = waveform.shape[-1]
    # Lengths with large prime factors are slow to transform.
    size = -(-(samples + TAPS) // _BLOCK) * _BLOCK
    response = torch.fft.rfft(_kernel(cutoff / sample_rate).to(waveform), size)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveform, size) * response, size)
    return filtered.narrow(-1, TAPS // 2, samples)


def _kernel(cutoff: float) -> Tensor:
    """For a cut-off in cycles per sample; (TAPS,) float64."""
    place = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    window = torch.blackman_window(TAPS, periodic=False, dtype=torch.float64)
    kernel = torch.sinc(2 * cutoff * place) * window
    kernel /= kernel.sum()
    return kernel
