"""The log-mel front end of two encoders, and the sizes of their crops and windows."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mscol_cli.api import Encoder, Level
from mscol_encoders.options import LogMelOptions

SAMPLE_RATE = 16_000
"""Hz."""
FRAME_LENGTH = 400
"""Samples per frame, 25 ms."""
HOP_LENGTH = 160
"""Samples between frames, 10 ms."""
N_FFT = 1024
N_MELS = 64
F_MIN, F_MAX = 60.0, 7800.0
"""Hz, outer edges of the lowest and the highest band."""
MAGNITUDE_RANGE = (1e-5, 1e8)

CROP_FRAMES = 98
CROP_SAMPLES = FRAME_LENGTH + (CROP_FRAMES - 1) * HOP_LENGTH
"""15,920 samples, 0.995 s."""
WINDOW_HOP = CROP_FRAMES * HOP_LENGTH
"""15,680 samples: windows share no frames."""


class LogMel(nn.Module):
    """Waveforms (batch, samples) at 16 kHz to log-mel (batch, frames, 64).

    Frames of 400 samples start every 160 samples and are zero-padded at the end to 1024 for the
    FFT; the signal is not padded: frames = 1 + (samples - 400) // 160. Magnitudes, not powers, are
    summed into mel bands and clipped to [1e-5, 1e8]; the output is their natural logarithm, with a
    floor of -11.51. This is the front end of COLA (arXiv 2010.10915) as used by MSCOL
    (arXiv 2302.07077).
    """

    rows_on_cpu = 4
    window: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.hann_window(FRAME_LENGTH, periodic=True, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        mel = torch.from_numpy(mel_matrix().astype(np.float32))
        self.register_buffer("mel", mel, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (batch, samples), at least 400 long, to (batch, frames, 64) float32."""
        if waveforms.device.type != "cpu" or torch.compiler.is_exporting():
            return self._transform(waveforms)
        # A few rows at a time: if spectra fit in the CPU's cache, this takes half the time.
        return torch.cat(
            [self._transform(rows) for rows in torch.split(waveforms, self.rows_on_cpu)]
        )

    def _transform(self, waveforms: Tensor) -> Tensor:
        frames = waveforms.unfold(-1, FRAME_LENGTH, HOP_LENGTH) * self.window
        magnitude = _magnitude(torch.fft.rfft(frames, n=N_FFT))
        log_mel: Tensor = (magnitude @ self.mel).clamp(*MAGNITUDE_RANGE).log()
        return log_mel


class LogMelEncoder(Encoder):
    """Base class of encoders of 98 frames of log-mel; subclasses set `dim`."""

    sample_rate = SAMPLE_RATE
    crop_samples = CROP_SAMPLES
    window_hop = WINDOW_HOP
    start_grid = HOP_LENGTH

    def __init__(self, options: LogMelOptions) -> None:
        super().__init__()
        self.level = cast(Level, options.level)
        self.log_mel = LogMel()

    def frontend(self, waveforms: Tensor) -> Tensor:
        """Waveforms (batch, samples) to log-mel (batch, frames, 64)."""
        features: Tensor = self.log_mel(waveforms)
        return features


def as_image(features: Tensor) -> Tensor:
    """Log-mel (batch, frames, bands) as images of one channel, (batch, 1, frames, bands).

    On a CPU in training their strides are those of channels-last, so that the first convolution
    and the gradients of what follows have this layout.
    """
    if features.device.type == "cpu" and torch.is_grad_enabled():
        return features.unsqueeze(-1).permute(0, 3, 1, 2)
    return features.unsqueeze(1)


def channels_last(x: Tensor) -> Tensor:
    """Convert (batch, channels, height, width) to channels-last layout where that saves time.

    It halves the time on a CPU, and tensor cores need it in half precision. The convolutions that
    follow keep the layout.
    """
    is_faster = x.device.type == "cpu" or x.dtype in (torch.bfloat16, torch.float16)
    return x.contiguous(memory_format=torch.channels_last) if is_faster else x


def _magnitude(spectrum: Tensor) -> Tensor:
    """Absolute values; without gradients by a formula that differs in rounding, in half the time.

    Magnitudes are far from overflow, and those that underflow are clipped later. The gradient of
    the formula is not finite at 0; that of `abs` is 0 there.
    """
    if spectrum.requires_grad:
        return spectrum.abs()
    real, imaginary = spectrum.real, spectrum.imag
    return (real * real).addcmul_(imaginary, imaginary).sqrt_()


def mel_matrix() -> NDArray[np.float64]:
    """Triangular mel filters, linear on the mel scale: weights (513 FFT bins, 64 bands).

    Band edges are equally spaced in mel, and neighbouring bands overlap by half. The bin at 0 Hz
    is below the lowest edge and has weight 0.
    """
    bins = hertz_to_mel(np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1))[:, None]
    low, high = hertz_to_mel(np.array([F_MIN, F_MAX]))
    edges = np.linspace(low, high, N_MELS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    weights: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return weights


def hertz_to_mel(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """The HTK mel scale."""
    mel: NDArray[np.float64] = 1127.0 * np.log1p(frequency / 700.0)
    return mel
