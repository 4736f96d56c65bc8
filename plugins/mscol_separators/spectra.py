"""Short-time Fourier transforms with the frames first, as Open-Unmix frames its input.

Frames lie at multiples of the hop; the ends are padded by reflection, so that frame k is centred
at sample k * hop. The window is Hann's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class Spectra:
    """Transforms of one frame length and hop, on one device."""

    def __init__(self, n_fft: int, hop: int, device: str) -> None:
        """Frames of `n_fft` samples, `hop` apart."""
        self._n_fft, self._hop = n_fft, hop
        self._window = torch.hann_window(n_fft, device=device)

    def frames(self, samples: int) -> int:
        """How many frames a waveform of that length has."""
        return 1 + samples // self._hop

    def forward(self, waveform: Tensor) -> Tensor:
        """(channels, samples) to complex (channels, frames, bins)."""
        edge = self._n_fft // 2
        padded: Tensor = F.pad(waveform[None], (edge, edge), mode="reflect")[0]
        frames: Tensor = padded.unfold(-1, self._n_fft, self._hop) * self._window
        spectrogram: Tensor = torch.fft.rfft(frames)
        return spectrogram


class Overlap:
    """The inverse: frames that come piece by piece, added up to a waveform."""

    def __init__(self, spectra: Spectra, channels: tuple[int, ...], samples: int) -> None:
        """Begin waveforms of shape (*channels, samples)."""
        self._n_fft, self._hop, self._window = spectra._n_fft, spectra._hop, spectra._window
        self._samples, self._next = samples, 0
        # A frame reaches over this many hops.
        self._reach = -(-self._n_fft // self._hop)
        rows = spectra.frames(samples) + self._reach - 1
        self._sum = torch.zeros(*channels, rows, self._hop, device=self._window.device)
        self._weight = torch.zeros(rows, self._hop, device=self._window.device)

    def add(self, place: tuple[int, ...], frames: Tensor) -> None:
        """Add the next frames of one waveform, complex (frames, bins)."""
        self._spread(self._sum[place], torch.fft.irfft(frames, n=self._n_fft).mul_(self._window))

    def advance(self, frames: int) -> None:
        """Say that so many frames of every waveform were added."""
        self._spread(self._weight, self._window.square().expand(frames, -1))
        self._next += frames

    def waveform(self) -> Tensor:
        """(*channels, samples), once all frames are there."""
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
