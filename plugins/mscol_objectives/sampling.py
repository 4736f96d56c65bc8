"""Where to cut: segments without repeats, and crops at random offsets within a segment."""

from __future__ import annotations

import numpy as np

from mscol_cli.api import Crops, IntArray, ObjectiveContext, StoreIndex


def draw_segments(candidates: IntArray, size: int, rng: np.random.Generator) -> IntArray:
    """Draw `size` of the candidate segments, each once while they last.

    With fewer candidates than `size`, every one is drawn equally often, give or take one: repeats
    are false negatives, and this keeps them as few as they can be.
    """
    rounds = -(-size // len(candidates))
    if rounds == 1:
        return rng.choice(candidates, size, replace=False)
    shuffled = [rng.permutation(candidates) for _ in range(rounds)]
    return np.concatenate(shuffled)[:size]


def repeats(segments: int, batch_size: int, verb: str) -> list[str]:
    """A line when `segments` are fewer than a batch; none otherwise."""
    if segments >= batch_size:
        return []
    return [
        f"the store {verb} {segments} segments for a batch of {batch_size}: some repeat within it"
        " and count as wrong answers; lower --batch-size or add music."
    ]


def cut(
    index: StoreIndex,
    segments: IntArray,
    source: IntArray | int,
    context: ObjectiveContext,
    rng: np.random.Generator,
    last_offset: bool = True,
) -> Crops:
    """One crop per segment, its offset uniform over every position where the crop still fits.

    Without `last_offset` the last of these is never drawn, as in the published code.
    """
    room = np.maximum(index.segment_samples[segments] - context.crop_samples, 0)
    offsets = room // context.start_grid + last_offset
    offset = rng.integers(0, np.maximum(offsets, 1)) * context.start_grid
    return Crops(
        track=index.segment_track[segments],
        source=np.broadcast_to(np.asarray(source, np.int64), segments.shape).copy(),
        start=index.segment_start[segments] + offset,
    )
