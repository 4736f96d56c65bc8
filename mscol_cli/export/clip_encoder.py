"""The module that is exported: a whole clip to its vector, as `mscol embed` computes it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.levels import EPSILON, REFERENCE_RMS

Pool = Literal["mean", "none"]
POOLS: tuple[Pool, ...] = ("mean", "none")


class ClipEncoder(nn.Module):
    """Level normalisation, windows, front end, encoder and pooling of complete clips.

    It computes in float32 what `engine.embedding` computes for one clip: the factor of a clip
    depends on all of its samples, and a partial window at the end is dropped.

    Args:
        encoder: The encoder, in eval mode.
        pool: `mean` over the windows of a clip, or `none`.
        spare_window: Encode one window more than needed. torch.export specialises to more than one
            row; with it, one clip of one window has two.
    """

    def __init__(self, encoder: Encoder, pool: Pool, spare_window: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.pool = pool
        self.spare_window = spare_window

    def forward(self, waveform: Tensor) -> Tensor:
        """Clips (batch, samples) of one length, at least a window, to vectors (batch, dim), or
        (batch, windows, dim) with pool `none`."""
        rows = _windows(self._at_level(waveform), self.encoder).flatten(0, 1)
        if self.spare_window:
            rows = torch.cat([rows, rows[:1]])
        vectors: Tensor = self.encoder(self.encoder.frontend(rows))
        if self.spare_window:
            vectors = vectors[:-1]
        vectors = vectors.reshape(waveform.shape[0], -1, self.encoder.dim)
        return vectors.mean(dim=1) if self.pool == "mean" else vectors

    def _at_level(self, waveform: Tensor) -> Tensor:
        level = self.encoder.level
        if level == "none":
            return waveform
        norm = waveform.square().sum(dim=1, keepdim=True).sqrt()
        scaled = waveform / (norm + EPSILON)
        return scaled * REFERENCE_RMS * waveform.shape[1] ** 0.5 if level == "rms" else scaled


def _windows(waveform: Tensor, encoder: Encoder) -> Tensor:
    """All complete windows (batch, windows, crop_samples) of clips (batch, samples)."""
    count = (waveform.shape[1] - encoder.crop_samples) // encoder.window_hop + 1
    # Not `unfold`: its export is restricted to clips of more than one window.
    starts = torch.arange(count, device=waveform.device)[:, None] * encoder.window_hop
    return waveform[:, starts + torch.arange(encoder.crop_samples, device=waveform.device)]
