"""Resampling by windowed-sinc interpolation."""

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
"""Filter support on each side, with a margin, in samples at the lower of the two rates."""


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Resample a waveform.

    Args:
        waveform: (..., samples).
        source_rate: Sample rate of the waveform in Hz.
        target_rate: Sample rate of the result in Hz.

    Returns:
        (..., ceil(samples * target_rate / source_rate)), float32, on the same device.
    """
    if source_rate == target_rate:
        return waveform
    if _kernel_size(source_rate, target_rate) > _MAX_KERNEL:
        return _resample_polyphase(waveform, source_rate, target_rate)
    from torchaudio.functional import resample as sinc_resample

    resampled: Tensor = sinc_resample(
        waveform, source_rate, target_rate, lowpass_filter_width=_ZERO_CROSSINGS
    )
    return resampled


def resample_array(
    waveform: NDArray[np.float32], source_rate: int, target_rate: int
) -> NDArray[np.float32]:
    """`resample` for a NumPy array (..., samples); rates are in Hz."""
    if source_rate == target_rate:
        return waveform
    import torch

    resampled = resample(torch.from_numpy(waveform), source_rate, target_rate)
    array: NDArray[np.float32] = resampled.numpy()
    return array


class StreamResampler:
    """Streaming version of `resample`: the concatenated results are the same.

    Args:
        source_rate: Sample rate of the pieces in Hz.
        target_rate: Sample rate of the results in Hz.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._rates = source_rate, target_rate
        common = gcd(source_rate, target_rate)
        # The filters repeat after `step` inputs and `phases` outputs.
        self._step, self._phases = source_rate // common, target_rate // common
        self._context = ceil(_REACH * max(1.0, source_rate / target_rate) / self._step)
        self._buffer: Tensor | None = None
        self._emitted = 0  # steps of the buffer whose outputs were returned

    def push(self, piece: Tensor, last: bool = False) -> Tensor:
        """Add a piece (..., samples) and return the outputs (..., samples) that are complete; after
        the last piece, all of them."""
        import torch

        if self._step == self._phases:
            return piece
        buffer = piece if self._buffer is None else torch.cat([self._buffer, piece], dim=-1)
        ready = max(buffer.shape[-1] // self._step - self._context, self._emitted)
        if not last and ready == self._emitted:
            self._buffer = buffer
            return buffer[..., :0]
        resampled = resample(buffer, *self._rates)
        end = resampled.shape[-1] if last else ready * self._phases
        outputs = resampled[..., self._emitted * self._phases : end]
        dropped = max(ready - self._context, 0)
        self._buffer, self._emitted = buffer[..., dropped * self._step :].clone(), ready - dropped
        return outputs


def _kernel_size(source_rate: int, target_rate: int) -> int:
    """Size of the filter table, which has one filter per output phase."""
    common = gcd(source_rate, target_rate)
    step, phases = source_rate // common, target_rate // common
    width = 2 * _ZERO_CROSSINGS * max(step, phases) // phases
    return phases * (step + width)


def _resample_polyphase(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Resample between nearly coprime rates, whose filter table would not fit in memory."""
    import torch
    from scipy.signal import resample_poly

    common = gcd(source_rate, target_rate)
    samples = waveform.cpu().numpy()
    resampled = resample_poly(samples, target_rate // common, source_rate // common, axis=-1)
    return torch.from_numpy(resampled.astype(np.float32, copy=False)).to(waveform.device)
