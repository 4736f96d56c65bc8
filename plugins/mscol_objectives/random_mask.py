"""Random mask: positives are the mixture with a mask that does not depend on sources."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mscol_cli.api import Augmentation, Augmented, CropPlan, ObjectiveContext
from mscol_objectives.cola import Cola
from mscol_objectives.options import RandomMaskAugmentationOptions, RandomMaskOptions
from mscol_objectives.spectrogram import LOG_FLOOR, require_spectrogram


class RandomMask(Augmentation):
    """A control for separation. It is our interpretation: the paper (arXiv 2302.07077) has a row
    "Random Mask" without code or parameters.

    A separator multiplies the mixture's spectrogram by a soft mask that is smooth over time and
    frequency and passes about a quarter of it, one source of four. This mask has the same
    properties but does not depend on sources: normal values on a grid of `time_cells` by
    `band_cells` are interpolated bilinearly, scaled by `sharpness` and passed through a sigmoid
    whose offset gives `keep` at the median. The gain of MSA over this control is due to sources,
    not to hiding part of the spectrogram.
    """

    def __init__(self, options: RandomMaskAugmentationOptions, _: ObjectiveContext) -> None:
        super().__init__()
        self.options = options

    def draw(self, plan: CropPlan, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """The grids of the masks, (batch, time cells, band cells), of every view but the anchor."""
        cells = self.options.time_cells, self.options.band_cells
        return {
            f"{view}_grid": rng.standard_normal((len(crops.start), *cells), np.float32)
            for view, crops in plan.views.items()
            if view != "anchor"
        }

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Mask every view but the anchor, by adding the logarithm of the mask to its log-mel."""
        return {
            view: log_mel if view == "anchor" else self._masked(log_mel, labels[f"{view}_grid"])
            for view, log_mel in views.items()
        }

    def _masked(self, log_mel: Tensor, grid: Tensor) -> Tensor:
        require_spectrogram(log_mel, "random-mask")
        return (log_mel + self._log_mask(grid, log_mel)).clamp(min=LOG_FLOOR)

    def _log_mask(self, grid: Tensor, like: Tensor) -> Tensor:
        field = F.interpolate(
            grid[:, None].to(like.dtype), like.shape[1:], mode="bilinear", align_corners=True
        )[:, 0]
        offset = math.log(self.options.keep / (1 - self.options.keep))
        return F.logsigmoid(self.options.sharpness * field + offset)


class RandomMaskCola(Augmented):
    """COLA with a random mask of the positive."""

    def __init__(self, options: RandomMaskOptions, context: ObjectiveContext) -> None:
        super().__init__(Cola(options, context), [RandomMask(options, context)])
