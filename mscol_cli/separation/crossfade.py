"""Overlapping chunks joined to one waveform."""

from __future__ import annotations

import torch
from torch import Tensor


class CrossFade:
    """Fades from each chunk to the next while they overlap.

    Weights are sin² and cos²: they add up to one, and the outermost frames of a chunk, which were
    estimated without what surrounds them, hardly count.
    """

    def __init__(self, overlap: int) -> None:
        """Join chunks that share `overlap` samples."""
        self._overlap = overlap
        self._tail: Tensor | None = None

    def push(self, chunk: Tensor, last: bool) -> Tensor:
        """Take the next chunk, (channels, samples), and give what no later one changes."""
        if self._tail is not None:
            chunk = self._joined(self._tail, chunk)
        if last or not self._overlap:
            return chunk
        self._tail = chunk[:, -self._overlap :].clone()
        return chunk[:, : -self._overlap]

    def _joined(self, tail: Tensor, chunk: Tensor) -> Tensor:
        place = (torch.arange(self._overlap, device=chunk.device) + 0.5) / self._overlap
        rising = torch.sin(0.5 * torch.pi * place).square()
        shared = torch.lerp(tail, chunk[:, : self._overlap], rising)
        return torch.cat([shared, chunk[:, self._overlap :]], dim=-1)
