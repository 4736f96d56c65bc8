"""Changing the sample rate, by windowed-sinc interpolation."""

from __future__ import annotations

from math import ceil, gcd
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

_MAX_KERNEL = 1 << 24
_ZERO_CROSSINGS = 6
_REACH = 12
"""Samples of the slower of both rates within which every input of an output lies, and more."""


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Resample (..., samples) from `source_rate` to `target_rate` Hz.

    Returns:
        (..., ceil(samples * target_rate / source_rate)), float32, on the same device.
    """
    if source_rate == target_rate:
        return waveform
    if _kernel_size(source_rate, target_rate) > _MAX_KERNEL:
        return _resample_awkward(waveform, source_rate, target_rate)
    from torchaudio.functional import resample as sinc_resample

    resampled: Tensor = sinc_resample(
        waveform, source_rate, target_rate, lowpass_filter_width=_ZERO_CROSSINGS
    )
    return resampled


def resample_array(
    waveform: NDArray[np.float32], source_rate: int, target_rate: int
) -> NDArray[np.float32]:
    """`resample` for NumPy arrays."""
    if source_rate == target_rate:
        return waveform
    import torch

    resampled = resample(torch.from_numpy(waveform), source_rate, target_rate)
    array: NDArray[np.float32] = resampled.numpy()
    return array


class StreamResampler:
    """`resample` for a waveform that comes in pieces: what it gives is, put together, the same."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        """Begin a waveform. Rates are in Hz."""
        self._rates = source_rate, target_rate
        common = gcd(source_rate, target_rate)
        # Every `step` samples of input the filters come round, `phases` outputs later.
        self._step, self._phases = source_rate // common, target_rate // common
        self._context = ceil(_REACH * max(1.0, source_rate / target_rate) / self._step)
        self._held: Tensor | None = None
        self._before = 0

    def push(self, piece: Tensor, last: bool = False) -> Tensor:
        """Take the next piece, (..., samples), and give what can be told by now; all, after the
        last piece."""
        import torch

        if self._step == self._phases:
            return piece
        held = piece if self._held is None else torch.cat([self._held, piece], dim=-1)
        whole = held.shape[-1] // self._step
        ready = max(whole - self._context, self._before)
        if not last and ready == self._before:
            self._held = held
            return held[..., :0]
        resampled = resample(held, *self._rates)
        end = resampled.shape[-1] if last else ready * self._phases
        given = resampled[..., self._before * self._phases : end]
        dropped = max(ready - self._context, 0)
        self._held, self._before = held[..., dropped * self._step :].clone(), ready - dropped
        return given


def _kernel_size(source_rate: int, target_rate: int) -> int:
    """Values in the table of filters: one filter for each phase of the output."""
    common = gcd(source_rate, target_rate)
    step, phases = source_rate // common, target_rate // common
    width = 2 * _ZERO_CROSSINGS * max(step, phases) // phases
    return phases * (step + width)


def _resample_awkward(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Rates with hardly a common factor, whose table of filters would not fit in memory."""
    import torch
    from scipy.signal import resample_poly

    common = gcd(source_rate, target_rate)
    samples = waveform.cpu().numpy()
    resampled = resample_poly(samples, target_rate // common, source_rate // common, axis=-1)
    return torch.from_numpy(resampled.astype(np.float32, copy=False)).to(waveform.device)
