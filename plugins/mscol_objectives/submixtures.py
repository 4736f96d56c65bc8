"""Sub-mixtures: associate some sources of a song with its other sources."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mscol_cli.api import CropPlan, IntArray, StoreIndex, UsageError
from mscol_objectives.options import SubmixturesOptions
from mscol_objectives.sampling import find_stems
from mscol_objectives.segments import SegmentAssociation


class Submixtures(SegmentAssociation):
    """A random sub-mixture identifies the sub-mixture of all other sources of its segment.

    The idea is COCOLA's (arXiv 2404.16969), whose crops are aligned in time; here their offsets are
    independent unless `aligned`. Only sources that sound in the segment take part; how many of them
    are in the positive is uniform, and so is which. With `anchor=mixture` the anchor is the mixture
    in place of the rest.
    """

    options: SubmixturesOptions
    candidate_verb = "has two sources sounding in only"

    def candidates(self, index: StoreIndex, source: int | None = None) -> IntArray:
        """Rows of the segments in which two sources sound. Raises UsageError if there are none."""
        segments = np.flatnonzero(self._sounds(index, slice(None)).sum(1) > 1)
        if not len(segments):
            raise UsageError(
                "no segment of the store has two sources that sound (mean |x| above"
                f" {self.options.silence_threshold}), so that there are no sub-mixtures."
            )
        return segments

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Segments, offsets, and a partition of the sources of each segment."""
        segments = self.draw(index, batch_size, rng)
        anchor, positive = (self.cut(index, segments, 0, rng) for _ in range(2))
        if self.options.aligned:
            positive = replace(positive, start=anchor.start)
        some, rest = draw_partitions(self._sounds(index, segments), rng)
        positive = replace(positive, gains=some.astype(np.float32))
        if self.options.anchor == "rest":
            anchor = replace(anchor, gains=rest.astype(np.float32))
        return CropPlan({"anchor": anchor, "positive": positive})

    def _sounds(self, index: StoreIndex, segments: IntArray | slice) -> NDArray[np.bool_]:
        """(segments, sources) whether a source sounds and is one to learn from."""
        stems = np.isin(np.arange(len(index.sources)), find_stems(index, self.options.stems))
        return (index.segment_level[segments] > self.options.silence_threshold) & stems


def draw_partitions(
    sounds: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Divide the sources of each row into two sub-mixtures, none of them empty.

    Args:
        sounds: (rows, sources), at least two in each row.
        rng: Random generator.

    Returns:
        The sources of both sub-mixtures, (rows, sources) each.
    """
    order = np.where(sounds, rng.random(sounds.shape), 1.0).argsort(1).argsort(1)
    size = rng.integers(1, sounds.sum(1))
    some = order < size[:, None]
    return some, sounds & ~some
