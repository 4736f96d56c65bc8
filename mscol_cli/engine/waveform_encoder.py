"""An encoder with its front end as one torch module: waveforms in, vectors out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.levels import EPSILON, REFERENCE_RMS, Level
from mscol_cli.errors import UsageError


class WaveformEncoder(nn.Module):
    """Maps waveforms of any level and length to vectors, as `mscol embed` maps files.

    It scales each waveform to the level that the network expects, cuts windows, and computes front
    end and network. All of it is differentiable.

    Attributes:
        network: The encoder, with `frontend` and `forward`.
        sample_rate: Sample rate of the waveforms in Hz.
        dim: Dimension of a vector.
        window: Window length in samples; waveforms must not be shorter.
        hop: Samples from the start of one window to the next.
    """

    network: Encoder

    def __init__(self, network: Encoder) -> None:
        super().__init__()
        self.network = network
        self.sample_rate, self.dim = network.sample_rate, network.dim
        self.window, self.hop = network.crop_samples, network.window_hop

    def forward(self, waveforms: Tensor) -> Tensor:
        """Encode waveforms (batch, samples) to (batch, dim), the mean over their windows.

        Raises:
            UsageError: `waveforms` has another shape, or is shorter than a window.
        """
        return self.encode_windows(waveforms).mean(dim=1)

    def encode_windows(self, waveforms: Tensor) -> Tensor:
        """Encode every complete window of waveforms (batch, samples): (batch, windows, dim).

        Raises:
            UsageError: `waveforms` has another shape, or is shorter than a window.
        """
        if waveforms.ndim != 2 or waveforms.shape[1] < self.window:
            raise UsageError(
                f"waveforms have shape {tuple(waveforms.shape)}: pass (batch, samples) with at"
                f" least {self.window} samples, one window."
            )
        windows = self.cut(waveforms)
        vectors: Tensor = self.network(self.network.frontend(windows.flatten(0, 1)))
        return vectors.view(*windows.shape[:2], self.dim)

    def cut(self, waveforms: Tensor) -> Tensor:
        """Scale waveforms (batch, samples) and cut all complete windows: (batch, windows, window).

        A partial window at the end is dropped.
        """
        count = (waveforms.shape[1] - self.window) // self.hop + 1
        device = waveforms.device
        # Not `unfold`: its export is restricted to clips of more than one window.
        starts = torch.arange(count, device=device)[:, None] * self.hop
        scaled = scale_to(self.network.level, waveforms)
        return scaled[:, starts + torch.arange(self.window, device=device)]


def scale_to(level: Level, waveforms: Tensor) -> Tensor:
    """`level_factor` applied to waveforms (batch, samples), with gradients."""
    if level == "none":
        return waveforms
    # In float64: a float32 sum over minutes of samples drifts by per cents.
    norm = torch.linalg.vector_norm(waveforms, dim=1, keepdim=True, dtype=torch.float64)
    target = REFERENCE_RMS * waveforms.shape[1] ** 0.5 if level == "rms" else 1.0
    # target / (norm + EPSILON), with a sum that ONNX's optimiser does not take for norm + 0.
    factor = (target / EPSILON) / (norm / EPSILON + 1.0)
    scaled: Tensor = waveforms * factor.to(waveforms.dtype)
    return scaled
