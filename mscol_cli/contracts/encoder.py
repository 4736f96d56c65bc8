"""Encoders: networks that map about a second of audio to a vector, with their front ends."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mscol_cli.contracts.levels import Level


class Encoder(nn.Module, ABC):
    """Base class of encoders. `frontend` and `forward` run on the device of the module.

    Attributes:
        sample_rate: Hz of the waveforms it takes.
        crop_samples: Samples of one training crop, and of one window when embedding.
        window_hop: Samples between consecutive windows when embedding a whole clip.
        start_grid: Hop of the front end in samples; the bundled objectives start crops at multiples
            of it within a segment.
        dim: Size of the embedding.
        level: Level to which clips are scaled before crops are cut: `norm`, `rms` or `none`.
    """

    sample_rate: int
    crop_samples: int
    window_hop: int
    start_grid: int
    dim: int
    level: Level = "norm"

    @abstractmethod
    def frontend(self, waveforms: Tensor) -> Tensor:
        """Compute features from waveforms; augmentations change them before `forward`.

        Each row depends on its own waveform only: with little memory, it is called with a part of
        the batch.

        Args:
            waveforms: (batch, samples) float32 at `sample_rate` and `level`; `samples` is
                `crop_samples`.

        Returns:
            (batch, ...) float32, even if `forward` runs in bf16.
        """

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, ...) to embeddings (batch, dim); bf16 runs under autocast.

        In eval mode each row depends on its own features only, and is not random.
        """
