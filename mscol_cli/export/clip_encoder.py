"""The module that is exported: a complete clip to its vectors, as `mscol embed` computes them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.waveform_encoder import WaveformEncoder

Pool = Literal["mean", "none"]
POOLS: tuple[Pool, ...] = ("mean", "none")


class ClipEncoder(WaveformEncoder):
    """A waveform encoder without checks of its input, which cannot be exported.

    Args:
        encoder: The encoder, in eval mode.
        pool: `mean` over the windows of a clip, or `none`.
        spare_window: Encode one window more than needed. torch.export specialises to more than one
            row; with it, one clip of one window has two.
    """

    def __init__(self, encoder: Encoder, pool: Pool, spare_window: bool = False) -> None:
        super().__init__(encoder)
        self.pool = pool
        self.spare_window = spare_window

    def forward(self, waveforms: Tensor) -> Tensor:
        """Clips (batch, samples) of one length, at least a window, to vectors (batch, dim), or
        (batch, windows, dim) with pool `none`."""
        rows = self.cut(waveforms).flatten(0, 1)
        if self.spare_window:
            # A copy of the first row has a size that torch 2.11 does not know while tracing.
            rows = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
        vectors: Tensor = self.network(self.network.frontend(rows))
        if self.spare_window:
            vectors = vectors[:-1]
        vectors = vectors.reshape(waveforms.shape[0], -1, self.dim)
        return vectors.mean(dim=1) if self.pool == "mean" else vectors
