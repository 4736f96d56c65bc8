"""Process tracks of any length with a network of fixed input length."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F


def in_segments(
    waveform: Tensor,
    estimate: Callable[[Tensor], Tensor],
    *,
    segment: int,
    edge: int,
    overlap: float,
) -> Tensor:
    """Estimate the sources of overlapping segments and fade from each to the next.

    Segments are spread evenly over the track, which is padded by `edge` samples of silence at its
    ends; a track shorter than one segment is padded to one.

    Args:
        waveform: (channels, samples).
        estimate: Maps (channels, segment) to (sources, channels, segment).
        segment: Samples of a segment.
        edge: Samples at either end of a segment whose estimates are not used.
        overlap: Minimum share of a segment's used samples that overlap with the next.

    Returns:
        (sources, channels, samples).
    """
    samples = waveform.shape[-1]
    starts = segment_starts(samples, segment - 2 * edge, overlap)
    end = starts[-1] + segment
    padded = F.pad(waveform, (edge, end - edge - samples))
    window = triangle(segment, edge)
    total, weight = torch.zeros(0), torch.zeros(end)
    for start in starts:
        part = slice(start, start + segment)
        estimated = estimate(padded[:, part])
        if not total.numel():
            total = torch.zeros(*estimated.shape[:-1], end)
        total[..., part] += estimated * window
        weight[part] += window
    inside = slice(edge, edge + samples)
    return total[..., inside] / weight[inside]


def segment_starts(samples: int, used: int, overlap: float) -> list[int]:
    """First used samples of the segments of a track.

    Args:
        samples: Length of the track.
        used: Used samples of a segment.
        overlap: Minimum share of `used` that neighbours have in common.
    """
    last = max(samples - used, 0)
    steps = ceil(last / int((1 - overlap) * used))
    return [round(number * last / max(steps, 1)) for number in range(steps + 1)]


def triangle(segment: int, edge: int) -> Tensor:
    """Triangular window (segment,), 1 in the middle and 0 in the first and last `edge` samples."""
    used = segment - 2 * edge
    rising = torch.arange(1, used + 1, dtype=torch.float32)
    slopes = torch.minimum(rising, rising.flip(0))
    return F.pad(slopes / slopes.max(), (edge, edge))
