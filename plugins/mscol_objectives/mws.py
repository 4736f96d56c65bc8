"""MWS: COLA with masking, warping and shifting of both crops' log-mel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.api import CropPlan, ObjectiveContext, StoreIndex
from mscol_objectives.cola import Cola
from mscol_objectives.plugin import MwsOptions
from mscol_objectives.spectrogram import require_spectrogram

FRAMES, BANDS = 98, 64
WARP_CENTRE = 48


class MaskWarpShift(Cola):
    """Masking, warping, shifting: the augmentation of S3T (arXiv 2202.10139) as the MSA paper's
    code has it. Each crop draws its own, on a log-mel of 98 frames by 64 bands:

    * with probability 0.5, 1 to 9 time masks, 1 to 9 frames wide, starting at frames 0 to 86;
    * with probability 0.5, 1 to 4 frequency masks, 1 to 11 bands wide;
    * with probability 0.4, a shift down by 1 to 9 bands;
    * with probability 0.4, a warp of time that moves one of frames 38 to 57 to frame 48, linear
      on both sides.
    """

    def __init__(self, options: MwsOptions, context: ObjectiveContext) -> None:
        super().__init__(context)
        self.options = options

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """COLA's crops, and the drawn augmentation of each as labels."""
        crops = super().plan(index, rng, batch_size)
        labels = {
            f"{view}_{name}": values
            for view in crops.views
            for name, values in draw_augmentation(rng, batch_size).items()
        }
        return CropPlan(crops.views, labels)

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Mask, shift and warp every view with the parameters of its row."""
        return {view: self._augment(views[view], view, labels) for view in views}

    def _augment(self, log_mel: Tensor, view: str, labels: Mapping[str, Tensor]) -> Tensor:
        require_spectrogram(log_mel, "mws")
        time, bands = labels[f"{view}_time_masks"], labels[f"{view}_band_masks"]
        masked = mask(log_mel, time, bands, self.options.fill)
        shifted = shift_down(masked, labels[f"{view}_shift"], self.options.fill)
        return warp_time(shifted, labels[f"{view}_pivot"])


def draw_augmentation(rng: np.random.Generator, rows: int) -> dict[str, NDArray[np.int64]]:
    """Parameters of one view: masks as (rows, masks, start and width), an unused one 0 wide."""
    pivot = rng.integers(38, 58, rows)
    return {
        "time_masks": _draw_masks(rng, rows, most=9, starts=87, widest=9),
        "band_masks": _draw_masks(rng, rows, most=4, starts=64, widest=11),
        "shift": np.where(rng.random(rows) < 0.4, rng.integers(1, 10, rows), 0),
        "pivot": np.where(rng.random(rows) < 0.4, pivot, WARP_CENTRE),
    }


def _draw_masks(
    rng: np.random.Generator, rows: int, *, most: int, starts: int, widest: int
) -> NDArray[np.int64]:
    count = np.where(rng.random(rows) < 0.5, rng.integers(1, most + 1, rows), 0)
    start = rng.integers(0, starts, (rows, most))
    width = rng.integers(1, widest + 1, (rows, most))
    used = np.arange(most) < count[:, None]
    return np.stack([start, np.where(used, width, 0)], axis=-1)


def mask(log_mel: Tensor, time_masks: Tensor, band_masks: Tensor, fill: float) -> Tensor:
    """Write `fill` into the masked frames and bands of (batch, frames, bands)."""
    frames = _covered(time_masks, log_mel.shape[1])[:, :, None]
    bands = _covered(band_masks, log_mel.shape[2])[:, None, :]
    return log_mel.masked_fill(frames | bands, fill)


def _covered(masks: Tensor, length: int) -> Tensor:
    """Which of `length` positions any of the (batch, masks, start and width) covers."""
    start, width = masks[..., 0, None], masks[..., 1, None]
    position = torch.arange(length, device=masks.device)
    return ((position >= start) & (position < start + width)).any(1)


def shift_down(log_mel: Tensor, bands: Tensor, fill: float) -> Tensor:
    """Move every row down by its number of bands; the vacated upper bands hold `fill`."""
    total = log_mel.shape[2]
    source = torch.arange(total, device=log_mel.device) + bands[:, None]
    index = source.clamp(max=total - 1)[:, None, :].expand_as(log_mel)
    moved = log_mel.gather(2, index)
    return moved.masked_fill((source >= total)[:, None, :], fill)


def warp_time(log_mel: Tensor, pivot: Tensor) -> Tensor:
    """Bend time so that frame `pivot` lands at frame 48, by linear interpolation on each side."""
    last = log_mel.shape[1] - 1
    frame = torch.arange(last + 1, device=log_mel.device, dtype=log_mel.dtype)[None]
    pivot = pivot[:, None].to(log_mel.dtype)
    before = frame * pivot / WARP_CENTRE
    after = pivot + (frame - WARP_CENTRE) * (last - pivot) / (last - WARP_CENTRE)
    position = torch.where(frame <= WARP_CENTRE, before, after).clamp(0, last)
    left = position.floor().clamp(max=last - 1)
    weight = (position - left)[:, :, None]
    rows = left.long()[:, :, None].expand_as(log_mel)
    return log_mel.gather(1, rows) * (1 - weight) + log_mel.gather(1, rows + 1) * weight
