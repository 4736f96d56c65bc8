"""The segments of a track, from which training pairs are cropped.

Frames follow the published front end: 400 samples long, 160 samples apart, at 16 kHz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mscol_cli.store.spool import Samples

SAMPLE_RATE = 16000
ACTIVE_LEVEL = 0.01
"""A source is active in a segment if its mean |x| exceeds this level, before normalisation."""

_HOP = 160
_FRAME = 400
_SEGMENT_FRAMES = 392
_CROP_FRAMES = 98
STEP = _SEGMENT_FRAMES * _HOP
"""Samples from one segment to the next. A segment is longer by the overlap of its last frame."""
_PUBLISHED_STEP = 64_000
"""Samples between windows of the published silence rule: 4 s, although a segment lasts 3.92 s.
Window i is therefore late by 0.08 i seconds."""
SEGMENT = STEP + _FRAME - _HOP
MINIMUM = _CROP_FRAMES * _HOP + _FRAME - _HOP
"""Minimum length of a track in samples: one crop of 98 frames."""


def segment_starts(samples: int) -> NDArray[np.int64]:
    """Start samples of the segments of a track, (segments,). The tail is dropped.

    A track shorter than a segment that contains a crop has one segment, the complete track.

    Args:
        samples: Length of the track in samples at 16 kHz.
    """
    frames = 1 + (samples - _FRAME) // _HOP if samples >= _FRAME else 0
    starts = np.arange(0, frames - _SEGMENT_FRAMES, _SEGMENT_FRAMES, dtype=np.int64) * _HOP
    if len(starts) == 0 and samples >= MINIMUM:
        return np.zeros(1, dtype=np.int64)
    return starts


def segment_count(samples: int) -> int:
    """Number of segments of a track of `samples` samples at 16 kHz."""
    return len(segment_starts(samples))


def segment_levels(waveform: Samples) -> NDArray[np.float32]:
    """Mean |x| of each segment, which decides whether the source is active.

    Args:
        waveform: One source, (samples,) at 16 kHz.

    Returns:
        Levels, (segments, 2): over the segment, and over the window that the published code uses
        instead, which drifts by 0.08 s per segment. A window beyond the end has level 0.
    """
    starts = segment_starts(len(waveform))
    levels = [
        (
            _mean_level(waveform, start, STEP),
            _mean_level(waveform, number * _PUBLISHED_STEP, _PUBLISHED_STEP),
        )
        for number, start in enumerate(starts)
    ]
    return np.array(levels, dtype=np.float32).reshape(len(starts), 2)


def _mean_level(waveform: Samples, start: int, length: int) -> float:
    part = waveform[start : start + length]
    return float(np.abs(part).mean(dtype=np.float64)) if len(part) else 0.0
