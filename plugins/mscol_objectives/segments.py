"""Objectives that draw segments, and cut their crops at random offsets within them."""

from __future__ import annotations

import numpy as np

from mscol_cli.api import Crops, IntArray, ObjectiveContext, StoreIndex
from mscol_objectives.association import Association
from mscol_objectives.options import PairOptions
from mscol_objectives.sampling import draw_excerpts, repeats


class SegmentAssociation(Association):
    """Base class of objectives whose crops all come from one segment per row.

    Subclasses choose the candidates, and plan the crops from `draw` and `cut`.
    """

    candidate_verb = "has"
    """What the store does with too few candidates, in the warning of repeats."""

    def __init__(self, options: PairOptions, context: ObjectiveContext) -> None:
        super().__init__(options, context)
        self.options = options

    def candidates(self, index: StoreIndex) -> IntArray:
        """Rows of the segments to draw from. Raises UsageError if there are none."""
        return np.arange(index.segments)

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Refuse a store without candidates; warn of repeats within a batch."""
        return repeats(len(self.candidates(index)), batch_size, self.candidate_verb)

    def draw(
        self, index: StoreIndex, candidates: IntArray, size: int, rng: np.random.Generator
    ) -> IntArray:
        """Draw segments (size,) from candidates, `excerpts` of each track."""
        return draw_excerpts(index, candidates, size, self.options.excerpts, rng)

    def cut(
        self,
        index: StoreIndex,
        segments: IntArray,
        source: IntArray | int,
        rng: np.random.Generator,
    ) -> Crops:
        """Cut one crop per segment, at an offset uniform over all positions where the crop fits.

        Args:
            index: Index of the store.
            segments: (batch,) rows of segments.
            source: (batch,) row of the source per segment, or one for all.
            rng: Random generator.
        """
        room = np.maximum(index.segment_samples[segments] - self.context.crop_samples, 0)
        # The published code never draws the last offset.
        offsets = room // self.context.start_grid + self.options.last_offset
        offset = rng.integers(0, np.maximum(offsets, 1)) * self.context.start_grid
        return Crops(
            track=index.segment_track[segments],
            source=np.broadcast_to(np.asarray(source, np.int64), segments.shape).copy(),
            start=index.segment_start[segments] + offset,
        )
