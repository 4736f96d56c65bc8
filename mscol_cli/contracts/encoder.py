"""A network that turns a second or so of audio into a vector, and owns its front end."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mscol_cli.contracts.levels import Level


class Encoder(nn.Module, ABC):
    """Base class of every encoder. Both halves run on the device the module is on.

    Attributes:
        sample_rate: Hz of the waveforms it takes.
        crop_samples: Samples of one training crop, and of one window when embedding.
        window_hop: Samples between consecutive windows when embedding a whole clip.
        start_grid: Training crops start at multiples of this many samples.
        dim: Size of the embedding.
        level: What whole clips are scaled to before crops are cut: `norm`, `rms` or `none`.
    """

    sample_rate: int
    crop_samples: int
    window_hop: int
    start_grid: int
    dim: int
    level: Level = "norm"

    @abstractmethod
    def frontend(self, waveforms: Tensor) -> Tensor:
        """Waveforms to features, which augmentations see before `forward` does.

        Args:
            waveforms: (batch, samples) float32 at `sample_rate` and `level`; `samples` is
                `crop_samples`.

        Returns:
            (batch, ...); float32, also where `forward` runs in bf16.
        """

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Features (batch, ...) to embeddings (batch, dim); in bf16 it runs under autocast."""
