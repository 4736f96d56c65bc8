"""Short-time Fourier transforms with the framing of Open-Unmix.

The ends are padded by reflection, so that frame k is centred at sample k * hop. The window is
a Hann window.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class Spectra:
    """Forward transform with a frame length and hop, on one device."""

    def __init__(self, n_fft: int, hop: int, device: str) -> None:
        """Use frames of `n_fft` samples with a hop of `hop` samples."""
        self._n_fft, self._hop = n_fft, hop
        self._window = torch.hann_window(n_fft, device=device)

    def frames(self, samples: int) -> int:
        """Number of frames of a waveform of `samples`."""
        return 1 + samples // self._hop

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform (channels, samples) to complex (channels, frames, bins)."""
        edge = self._n_fft // 2
        padded: Tensor = F.pad(waveform[None], (edge, edge), mode="reflect")[0]
        frames: Tensor = padded.unfold(-1, self._n_fft, self._hop) * self._window
        spectrogram: Tensor = torch.fft.rfft(frames)
        return spectrogram


class Overlap:
    """Inverse transform by overlap-add of consecutive groups of frames."""

    def __init__(self, spectra: Spectra, channels: tuple[int, ...], samples: int) -> None:
        """Start waveforms of shape (*channels, samples)."""
        self._n_fft, self._hop, self._window = spectra._n_fft, spectra._hop, spectra._window
        self._samples, self._next = samples, 0
        # Number of hops that a frame covers.
        self._reach = -(-self._n_fft // self._hop)
        rows = spectra.frames(samples) + self._reach - 1
        self._sum = torch.zeros(*channels, rows, self._hop, device=self._window.device)
        self._weight = torch.zeros(rows, self._hop, device=self._window.device)

    def add(self, channel: tuple[int, ...], frames: Tensor) -> None:
        """Add the next frames of one channel, complex (frames, bins)."""
        self._spread(self._sum[channel], torch.fft.irfft(frames, n=self._n_fft).mul_(self._window))

    def advance(self, frames: int) -> None:
        """Advance by `frames`, after they were added to all channels."""
        self._spread(self._weight, self._window.square().expand(frames, -1))
        self._next += frames

    def waveform(self) -> Tensor:
        """The waveforms (*channels, samples), after all frames were added."""
        edge = self._n_fft // 2
        inside = slice(edge, edge + self._samples)
        total = self._sum.flatten(-2)[..., inside]
        return total.div_(self._weight.flatten()[inside])

    def _spread(self, total: Tensor, frames: Tensor) -> None:
        missing = self._reach * self._hop - self._n_fft
        padded = F.pad(frames, (0, missing)) if missing else frames
        count = len(frames)
        for number in range(self._reach):
            part = padded[:, number * self._hop : (number + 1) * self._hop]
            total[self._next + number : self._next + number + count] += part
