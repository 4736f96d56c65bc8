"""COLA: tell which two crops come from one segment of music."""

from __future__ import annotations

import numpy as np

from mscol_cli.api import CropPlan, StoreIndex
from mscol_objectives.association import Association
from mscol_objectives.sampling import cut, draw_segments


class Cola(Association):
    """Contrastive learning of general-purpose audio representations (arXiv 2010.10915), with the
    settings of the MSA paper: crops within one segment of about four seconds, no added noise."""

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Warn when a batch holds a segment more than once."""
        return repeats(index.segments, batch_size, "has")

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Two crops of the mixture per segment, at independent offsets."""
        segments = draw_segments(np.arange(index.segments), batch_size, rng)
        return CropPlan(
            {
                "anchor": cut(index, segments, 0, self.context, rng),
                "positive": cut(index, segments, 0, self.context, rng),
            }
        )


def repeats(segments: int, batch_size: int, verb: str) -> list[str]:
    """A line when `segments` are fewer than a batch; none otherwise."""
    if segments >= batch_size:
        return []
    return [
        f"the store {verb} {segments} segments for a batch of {batch_size}: some repeat within it"
        " and count as wrong answers; lower --batch-size or add music."
    ]
