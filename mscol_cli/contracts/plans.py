"""Crop plans, and the index of a store that objectives make them from. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
MIXTURE = "mixture"


@dataclass(frozen=True)
class StoreIndex:
    """Index of a store: its tracks, segments and levels of sources.

    A segment is about four seconds of a track; both crops of a pair come from one segment.

    Attributes:
        sources: Names in storage order; the first is always `"mixture"`.
        sample_rate: Sample rate of all waveforms, Hz.
        track_ids: One name per track, unique.
        track_samples: (tracks,) lengths in samples.
        segment_track: (segments,) row of `track_ids` each segment belongs to.
        segment_start: (segments,) first sample of the segment in its track.
        segment_samples: (segments,) length of the segment in samples.
        segment_level: (segments, sources) float32, mean absolute value of the waveform over the
            segment, before any level normalisation.
        published_level: (segments, sources) float32, the same over the windows of the published
            silence rule, which drift by 0.08 s per segment of a track.
    """

    sources: tuple[str, ...]
    sample_rate: int
    track_ids: tuple[str, ...]
    track_samples: IntArray
    segment_track: IntArray
    segment_start: IntArray
    segment_samples: IntArray
    segment_level: NDArray[np.float32]
    published_level: NDArray[np.float32]
    _active: dict[tuple[int, float, bool], IntArray] = field(default_factory=dict, repr=False)

    @property
    def segments(self) -> int:
        """Number of segments."""
        return len(self.segment_track)

    def active_segments(self, source: int, threshold: float, drifting: bool = False) -> IntArray:
        """(active,) rows of the segments in which `source` is louder than `threshold`.

        Args:
            source: Row of `sources`.
            threshold: Mean |x|, full scale 1.
            drifting: Use `published_level` instead of `segment_level`.
        """
        key = (source, threshold, drifting)
        if key not in self._active:
            level = self.published_level if drifting else self.segment_level
            self._active[key] = np.flatnonzero(level[:, source] > threshold)
        return self._active[key]


@dataclass(frozen=True)
class Crops:
    """One waveform crop per row of the batch.

    Attributes:
        track: (batch,) row of `StoreIndex.track_ids`.
        source: (batch,) row of `StoreIndex.sources`.
        start: (batch,) first sample of the crop in its track. The crop must end inside the track;
            in a track shorter than a crop it must be 0, and zeros are appended.
        gains: (batch, sources) factors of all sources of the store, in its order: each crop is
            their weighted sum in place of one `source`. With 0 and 1 it is a stem or a sub-mixture,
            with random gains a re-mix. A row may use the mixture or other sources, not both. The
            sum is scaled to the encoder's level, so that only the ratios of gains matter unless
            that level is `none`.
    """

    track: IntArray
    source: IntArray
    start: IntArray
    gains: NDArray[np.float32] | None = None

    def rows(self, keep: slice) -> Crops:
        """The crops of some rows of the batch."""
        gains = None if self.gains is None else self.gains[keep]
        return Crops(self.track[keep], self.source[keep], self.start[keep], gains)


@dataclass(frozen=True)
class CropPlan:
    """Crops and random parameters of one update.

    Attributes:
        views: Crops by view name, such as `anchor` and `positive`; all of one batch size.
        labels: Arrays of booleans, integers or floats by name, whose first axis is the batch:
            `silent`, mask positions, ...
    """

    views: Mapping[str, Crops]
    labels: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def rows(self, keep: slice) -> CropPlan:
        """The plan of some rows of the batch, such as the share of one process."""
        return CropPlan(
            {name: crops.rows(keep) for name, crops in self.views.items()},
            {name: label[keep] for name, label in self.labels.items()},
        )
