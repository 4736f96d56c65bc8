"""MWS: COLA with masking, warping and shifting of both crops' log-mel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.api import Augmentation, Augmented, CropPlan, Crops, ObjectiveContext, UsageError
from mscol_objectives.cola import Cola
from mscol_objectives.options import MwsAugmentationOptions, MwsOptions
from mscol_objectives.spectrogram import require_spectrogram

FRAMES, BANDS = 98, 64
WARP_CENTRE = 48


class MaskWarpShift(Augmentation):
    """Masking, warping, shifting: S3T's augmentation as in the code of the MSA paper.

    Parameters are drawn per crop, for a log-mel of 98 frames by 64 bands (arXiv 2202.10139):

    * with probability 0.5, 1 to 9 time masks, 1 to 9 frames wide, starting at frames 0 to 86;
    * with probability 0.5, 1 to 4 frequency masks, 1 to 11 bands wide;
    * with probability 0.4, a shift down by 1 to 9 bands;
    * with probability 0.4, a warp of time that moves one of frames 38 to 57 to frame 48, linear
      on both sides.

    The published code masks and shifts both crops in one shared array, so that changes of one crop
    appear in the other where both overlap, unless a warp has copied the first crop before. `leak`
    reproduces this; without it the crops are independent.
    """

    def __init__(self, options: MwsAugmentationOptions, context: ObjectiveContext) -> None:
        super().__init__()
        self.options = options
        self.hop_length = context.start_grid

    def draw(self, plan: CropPlan, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
        """Parameters of each view, and with `leak` the distance from anchor to positive.

        Raises:
            UsageError: With `leak`, the objective has other views than these two.
        """
        if self.options.leak and set(plan.views) != {"anchor", "positive"}:
            views = ", ".join(plan.views)
            raise UsageError(
                "option leak of objective 'mws' needs the views anchor and positive, this objective"
                f" has {views}: omit leak."
            )
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
        leaked = copy_overlap(anchor, positive, distance)
        return {"anchor": torch.where(warped, anchor, leaked), "positive": positive}

    def _distance(self, anchor: Crops, positive: Crops) -> NDArray[np.int64]:
        """(batch,) frames from the anchor's start to the positive's; crops of different waveforms
        get a distance without overlap."""
        same = (anchor.track == positive.track) & (anchor.source == positive.source)
        same &= anchor.gains is None and positive.gains is None
        frames = (positive.start - anchor.start) // self.hop_length
        return np.where(same, frames, FRAMES)


class MaskWarpShiftCola(Augmented):
    """COLA with masking, warping and shifting, the paper's `mws`."""

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
    """Draw the parameters of one view.

    Returns:
        `time_masks` and `band_masks`, (rows, masks, 2) starts and widths, where an unused mask has
        width 0; `shift` (rows,) bands; `pivot` (rows,) frames.
    """
    pivot = rng.integers(38, 58, rows)
    return {
        "time_masks": _draw_masks(rng, rows, max_masks=9, starts=87, max_width=9),
        "band_masks": _draw_masks(rng, rows, max_masks=4, starts=64, max_width=11),
        "shift": np.where(rng.random(rows) < 0.4, rng.integers(1, 10, rows), 0),
        "pivot": np.where(rng.random(rows) < 0.4, pivot, WARP_CENTRE),
    }


def _draw_masks(
    rng: np.random.Generator, rows: int, *, max_masks: int, starts: int, max_width: int
) -> NDArray[np.int64]:
    count = np.where(rng.random(rows) < 0.5, rng.integers(1, max_masks + 1, rows), 0)
    start = rng.integers(0, starts, (rows, max_masks))
    width = rng.integers(1, max_width + 1, (rows, max_masks))
    used = np.arange(max_masks) < count[:, None]
    return np.stack([start, np.where(used, width, 0)], axis=-1)


def mask(log_mel: Tensor, time_masks: Tensor, band_masks: Tensor, fill: float) -> Tensor:
    """Write `fill` into the masked frames and bands of (batch, frames, bands)."""
    frames = _covered(time_masks, log_mel.shape[1])[:, :, None]
    bands = _covered(band_masks, log_mel.shape[2])[:, None, :]
    return log_mel.masked_fill(frames | bands, fill)


def _covered(masks: Tensor, length: int) -> Tensor:
    """(batch, length) bool: positions covered by masks (batch, masks, start and width)."""
    start, width = masks[..., 0, None], masks[..., 1, None]
    position = torch.arange(length, device=masks.device)
    return ((position >= start) & (position < start + width)).any(1)


def shift_down(log_mel: Tensor, bands: Tensor, fill: float) -> Tensor:
    """Shift (batch, frames, bands) down by `bands` (batch,); vacated upper bands get `fill`."""
    total = log_mel.shape[2]
    source = torch.arange(total, device=log_mel.device) + bands[:, None]
    index = source.clamp(max=total - 1)[:, None, :].expand_as(log_mel)
    moved = log_mel.gather(2, index)
    return moved.masked_fill((source >= total)[:, None, :], fill)


def copy_overlap(log_mel: Tensor, other: Tensor, distance: Tensor) -> Tensor:
    """Copy frames of `other` to the frames of `log_mel` at the same time in the music.

    Args:
        log_mel: (batch, frames, bands).
        other: (batch, frames, bands).
        distance: (batch,) frames from the start of `log_mel` to that of `other`.
    """
    frames = log_mel.shape[1]
    frame = torch.arange(frames, device=log_mel.device) - distance[:, None]
    shared = ((frame >= 0) & (frame < frames))[:, :, None]
    moved = other.gather(1, frame.clamp(0, frames - 1)[:, :, None].expand_as(log_mel))
    return torch.where(shared, moved, log_mel)


def warp_time(log_mel: Tensor, pivot: Tensor) -> Tensor:
    """Warp time of (batch, frames, bands) by linear interpolation, with `pivot` (batch,).

    Frames 0 to 48 are read from 0 to `pivot`, and frames 49 to 97 from `pivot` + 1 to 97, both in
    equal steps. A pivot of 48 changes nothing.
    """
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
