"""Objectives that draw segments, and cut their crops at random offsets within them."""

from __future__ import annotations

import numpy as np

from mscol_cli.api import Crops, IntArray, ObjectiveContext, StoreIndex
from mscol_objectives.association import Association
from mscol_objectives.options import PairOptions
from mscol_objectives.sampling import Candidates, draw_excerpts, repeats


class SegmentAssociation(Association):
    """Base class of objectives whose crops all come from one segment per row.

    Subclasses choose the candidates, and plan the crops from `draw` and `cut`. Candidates are found
    once per store: a large one has millions of segments, and every update draws from them.
    """

    candidate_verb = "has"
    """What the store does with too few candidates, in the warning of repeats."""

    def __init__(self, options: PairOptions, context: ObjectiveContext) -> None:
        super().__init__(options, context)
        self.options = options
        self._found: tuple[StoreIndex | None, dict[int | None, Candidates]] = (None, {})

    def candidates(self, index: StoreIndex, source: int | None = None) -> IntArray:
        """Rows of the segments to draw from. Raises UsageError if there are none.

        Args:
            index: Index of the store.
            source: The source that `draw` is called with.
        """
        return np.arange(index.segments)

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Refuse a store without candidates; warn of repeats within a batch."""
        return repeats(len(self.candidates(index)), batch_size, self.candidate_verb)

    def draw(
        self, index: StoreIndex, size: int, rng: np.random.Generator, source: int | None = None
    ) -> IntArray:
        """Draw segments (size,) from the candidates, `excerpts` of each track."""
        return draw_excerpts(self._known(index, source), size, self.options.excerpts, rng)

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

    def _known(self, index: StoreIndex, source: int | None) -> Candidates:
        of_index, known = self._found
        if of_index is not index:
            known = {}
            self._found = index, known
        if source not in known:
            known[source] = Candidates.of(index, self.candidates(index, source))
        return known[source]
