"""The grid of segments: the stretches of a track that training pairs are cut from.

Frames are those of the published front end: 400 samples long, 160 apart, at 16 kHz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mscol_cli.store.spool import Samples

SAMPLE_RATE = 16000
ACTIVE_LEVEL = 0.01
"""A source is active in a segment when its mean |x| exceeds this, before normalisation."""

_HOP = 160
_FRAME = 400
_SEGMENT_FRAMES = 392
_CROP_FRAMES = 98
STEP = _SEGMENT_FRAMES * _HOP
"""Samples from one segment to the next; a segment covers this and one frame's overhang."""
_DRIFTING_STEP = 64_000
"""Samples from one window of the published silence rule to the next: four seconds, where a segment
is 3.92 s. Window i lies 0.08 i seconds late."""
SEGMENT = STEP + _FRAME - _HOP
MINIMUM = _CROP_FRAMES * _HOP + _FRAME - _HOP
"""Samples of the shortest track that holds one crop of 98 frames."""


def segment_starts(samples: int) -> NDArray[np.int64]:
    """First samples of the segments of a track of that length at 16 kHz; the tail is dropped.

    A track of at least one crop but no whole segment has one segment, which is all of it.
    """
    frames = 1 + (samples - _FRAME) // _HOP if samples >= _FRAME else 0
    starts = np.arange(0, frames - _SEGMENT_FRAMES, _SEGMENT_FRAMES, dtype=np.int64) * _HOP
    if len(starts) == 0 and samples >= MINIMUM:
        return np.zeros(1, dtype=np.int64)
    return starts


def segment_count(samples: int) -> int:
    """How many segments a track of that length has, at 16 kHz."""
    return len(segment_starts(samples))


def segment_levels(waveform: Samples) -> NDArray[np.float32]:
    """Mean |x| that decides whether a source sounds in each segment: (samples,) to (segments, 2).

    First over the segment's own samples; then over the window that the published code takes for
    it, which drifts away from the segment by 0.08 s each. A window beyond the end has level 0.
    """
    starts = segment_starts(len(waveform))
    pairs = [
        (_mean(waveform[start : start + STEP]), _mean(_drifting_window(waveform, number)))
        for number, start in enumerate(starts)
    ]
    return np.array(pairs, dtype=np.float32).reshape(len(starts), 2)


def _drifting_window(waveform: Samples, number: int) -> NDArray[np.float32]:
    return waveform[number * _DRIFTING_STEP : (number + 1) * _DRIFTING_STEP]


def _mean(part: NDArray[np.float32]) -> float:
    return float(np.abs(part).mean(dtype=np.float64)) if len(part) else 0.0
