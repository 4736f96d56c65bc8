"""MSA: associate a song excerpt with one of its own sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mscol_cli.api import (
    CropPlan,
    IntArray,
    StoreIndex,
    UsageError,
)
from mscol_objectives.association import OF_SOURCE
from mscol_objectives.options import MsaOptions
from mscol_objectives.sampling import find_stems, repeats
from mscol_objectives.segments import SegmentAssociation

GROUP = 128


class MusicSourceAssociation(SegmentAssociation):
    """Music source association (arXiv 2302.07077).

    The anchor is a crop of the mixture; the positive is a crop of one separated source of the same
    segment, at an independent offset. All positives of a group of 128 rows are of the same source.
    A group is drawn from segments in which that source sounds or, with probability `silent_share`,
    from all segments; if the source is silent there, the positive is a constant, and all silent
    positives of a batch form one class.
    """

    options: MsaOptions

    def candidates(self, index: StoreIndex, source: int | None = None) -> IntArray:
        """Rows of all segments, or of those in which a source sounds."""
        return np.arange(index.segments) if source is None else self._active(index, source)

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Refuse stems that are not in the store or always silent; warn of repeats."""
        notes = []
        for source in find_stems(index, self.options.stems):
            active = len(self._active(index, source))
            name = index.sources[source]
            if not active:
                raise UsageError(
                    f"'{name}' is silent in the entire store (mean |x| up to"
                    f" {self.options.silence_threshold}): leave it out with --stems."
                )
            notes += repeats(active, min(batch_size, GROUP), f"has '{name}' sounding in only")
        return notes

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """A source and a kind of batch per group of rows, then segments and offsets per row."""
        sizes = [min(GROUP, batch_size - start) for start in range(0, batch_size, GROUP)]
        stems = find_stems(index, self.options.stems)
        groups = [self._group(index, stems, rng, size) for size in sizes]
        segments = np.concatenate([segments for segments, _ in groups])
        source = np.concatenate([source for _, source in groups])
        level = index.published_level if self._drifting else index.segment_level
        silent = level[segments, source] <= self.options.silence_threshold
        of_source = {f"{OF_SOURCE}{index.sources[stem]}": source == stem for stem in stems}
        return CropPlan(
            {
                "anchor": self.cut(index, segments, 0, rng),
                "positive": self.cut(index, segments, source, rng),
            },
            {"silent": silent, **of_source},
        )

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Replace the features of silent positives by a constant."""
        positive = views["positive"]
        silent = labels["silent"].view(-1, *[1] * (positive.dim() - 1))
        constant = torch.full_like(positive, self.options.silent_fill)
        return {**views, "positive": torch.where(silent, constant, positive)}

    def _group(
        self, index: StoreIndex, stems: Sequence[int], rng: np.random.Generator, size: int
    ) -> tuple[IntArray, IntArray]:
        source = int(rng.choice(stems))
        any_segment = rng.random() < self.options.silent_share
        drawn = self.draw(index, size, rng, None if any_segment else source)
        return drawn, np.full(size, source)

    def _active(self, index: StoreIndex, source: int) -> IntArray:
        return index.active_segments(source, self.options.silence_threshold, self._drifting)

    @property
    def _drifting(self) -> bool:
        return self.options.silence_windows == "drifting"
