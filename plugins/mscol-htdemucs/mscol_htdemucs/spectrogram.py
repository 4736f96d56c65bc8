"""The spectrogram that the network was trained on, and its inverse."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SEGMENT = 343_980
"""Input length of the network in samples, 7.8 s at 44.1 kHz."""

N_FFT = 4096
HOP = 1024
BINS = N_FFT // 2
"""Without the last bin, at half the sample rate, which is dropped and restored as 0."""

FRAMES = -(-SEGMENT // HOP)
EDGE = 1536
"""Samples at either end of a segment in frames that are not part of the network's input: only there
the inverse of a spectrogram is weaker than the original."""

_PAD = HOP // 2 * 3
_DROPPED = 2
"""Frames at either end that are computed and dropped."""


def to_spectrogram(waveform: Tensor) -> Tensor:
    """Transform (channels, SEGMENT) to (2 * channels, BINS, FRAMES), the real and imaginary part
    of each channel in turn; orthonormal, Hann window."""
    after = _PAD + FRAMES * HOP - waveform.shape[-1]
    padded = F.pad(waveform[None], (_PAD, after), mode="reflect")[0]
    spectrum = torch.stft(
        padded, N_FFT, HOP, window=_window(padded), normalized=True, return_complex=True
    )
    kept = spectrum[:, :BINS, _DROPPED : _DROPPED + FRAMES]
    return torch.view_as_real(kept).movedim(-1, 1).flatten(0, 1).contiguous()


def to_waveform(spectrogram: Tensor) -> Tensor:
    """Transform (sources, 2 * channels, BINS, FRAMES) to (sources, channels, SEGMENT)."""
    parts = spectrogram.reshape(-1, 2, BINS, FRAMES).movedim(1, -1).contiguous()
    # Dropped frames are silent, not absent: the waveform branch was trained with this output.
    spectrum = F.pad(torch.view_as_complex(parts), (_DROPPED, _DROPPED, 0, 1))
    waveform = torch.istft(
        spectrum,
        N_FFT,
        HOP,
        window=_window(spectrogram),
        normalized=True,
        length=FRAMES * HOP + 2 * _PAD,
    )
    return waveform[:, _PAD : _PAD + SEGMENT].reshape(len(spectrogram), -1, SEGMENT)


def _window(like: Tensor) -> Tensor:
    return torch.hann_window(N_FFT, dtype=like.dtype, device=like.device)
