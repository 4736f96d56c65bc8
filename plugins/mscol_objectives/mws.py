"""MWS: COLA with masking, warping and shifting of both crops' log-mel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.api import Augmentation, Augmented, CropPlan, Crops, ObjectiveContext
from mscol_objectives.cola import Cola
from mscol_objectives.options import MwsAugmentationOptions, MwsOptions
from mscol_objectives.spectrogram import require_spectrogram

FRAMES, BANDS = 98, 64
WARP_CENTRE = 48


class MaskWarpShift(Augmentation):
    """Masking, warping, shifting: S3T's augmentation as in the code of the MSA paper.

    Each crop draws its own, on a log-mel of 98 frames by 64 bands (arXiv 2202.10139):

    * with probability 0.5, 1 to 9 time masks, 1 to 9 frames wide, starting at frames 0 to 86;
    * with probability 0.5, 1 to 4 frequency masks, 1 to 11 bands wide;
    * with probability 0.4, a shift down by 1 to 9 bands;
    * with probability 0.4, a warp of time that moves one of frames 38 to 57 to frame 48, linear
      on both sides.

    The published code masks and shifts both crops in one shared array, so that what is done to one
    shows in the other wherever the two overlap, unless a warp has copied the first away before.
    `leak` does the same; without it the crops are independent.
    """

    def __init__(self, options: MwsAugmentationOptions, context: ObjectiveContext) -> None:
        super().__init__()
        self.options = options
        self.hop_length = context.start_grid

    def draw(self, plan: CropPlan, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
        """Parameters of each view, and with `leak` how far the positive lies from the anchor."""
        labels = {
            f"{view}_{name}": values
            for view, crops in plan.views.items()
            for name, values in draw_augmentation(rng, len(crops.start)).items()
        }
        if self.options.leak:
            labels["distance"] = self._distance(plan.views["anchor"], plan.views["positive"])
        return labels

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Mask, shift and warp every view with the parameters of its row."""
        drawn = {view: _of_view(labels, view) for view in views}
        if self.options.leak:
            shifted = self._leaking(views, drawn, labels["distance"])
        else:
            shifted = {view: self._mask_and_shift(views[view], drawn[view]) for view in views}
        return {view: warp_time(shifted[view], drawn[view]["pivot"]) for view in views}

    def _mask_and_shift(self, log_mel: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        require_spectrogram(log_mel, "mws")
        masked = mask(log_mel, drawn["time_masks"], drawn["band_masks"], self.options.fill)
        return shift_down(masked, drawn["shift"], self.options.fill)

    def _leaking(
        self,
        views: Mapping[str, Tensor],
        drawn: Mapping[str, Mapping[str, Tensor]],
        distance: Tensor,
    ) -> dict[str, Tensor]:
        anchor = self._mask_and_shift(views["anchor"], drawn["anchor"])
        positive = copy_overlap(views["positive"], anchor, -distance)
        positive = self._mask_and_shift(positive, drawn["positive"])
        warped = (drawn["anchor"]["pivot"] != WARP_CENTRE)[:, None, None]
        seen_again = copy_overlap(anchor, positive, distance)
        return {"anchor": torch.where(warped, anchor, seen_again), "positive": positive}

    def _distance(self, anchor: Crops, positive: Crops) -> NDArray[np.int64]:
        """(batch,) frames from the anchor's start to the positive's; where the two are cut from
        different waveforms, more than any overlap."""
        same = (anchor.track == positive.track) & (anchor.source == positive.source)
        frames = (positive.start - anchor.start) // self.hop_length
        return np.where(same, frames, FRAMES)


class MaskWarpShiftCola(Augmented):
    """COLA under masking, warping and shifting, the paper's `mws`."""

    def __init__(self, options: MwsOptions, context: ObjectiveContext) -> None:
        super().__init__(Cola(options, context), [MaskWarpShift(options, context)])


def _of_view(labels: Mapping[str, Tensor], view: str) -> dict[str, Tensor]:
    prefix = f"{view}_"
    return {
        name.removeprefix(prefix): value
        for name, value in labels.items()
        if name.startswith(prefix)
    }


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


def copy_overlap(log_mel: Tensor, other: Tensor, distance: Tensor) -> Tensor:
    """Write frames of `other` over those of `log_mel` that are the same moment of music.

    Args:
        log_mel: (batch, frames, bands).
        other: (batch, frames, bands).
        distance: (batch,) frames from the start of `log_mel` to that of `other`.
    """
    frames = log_mel.shape[1]
    place = torch.arange(frames, device=log_mel.device) - distance[:, None]
    shared = ((place >= 0) & (place < frames))[:, :, None]
    moved = other.gather(1, place.clamp(0, frames - 1)[:, :, None].expand_as(log_mel))
    return torch.where(shared, moved, log_mel)


def warp_time(log_mel: Tensor, pivot: Tensor) -> Tensor:
    """Bend time: frame 0 to 48 look at 0 to `pivot`, frames 49 to 97 at `pivot` + 1 to 97, both in
    equal steps and by linear interpolation. A pivot of 48 bends nothing."""
    last = log_mel.shape[1] - 1
    frame = torch.arange(last + 1, device=log_mel.device, dtype=log_mel.dtype)[None]
    pivot = pivot[:, None].to(log_mel.dtype)
    before = frame * pivot / WARP_CENTRE
    after = pivot + 1 + (frame - WARP_CENTRE - 1) * (last - 1 - pivot) / (last - 1 - WARP_CENTRE)
    position = torch.where(frame <= WARP_CENTRE, before, after).clamp(0, last)
    left = position.floor().clamp(max=last - 1)
    weight = (position - left)[:, :, None]
    rows = left.long()[:, :, None].expand_as(log_mel)
    return log_mel.gather(1, rows) * (1 - weight) + log_mel.gather(1, rows + 1) * weight
