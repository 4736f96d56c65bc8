"""Sampling of segments, without repeats where there are enough."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from mscol_cli.api import MIXTURE, IntArray, StoreIndex, UsageError


def find_stems(index: StoreIndex, names: Collection[str]) -> list[int]:
    """Rows of the sources that are not the mixture: the named ones, or all if none is named.

    Raises:
        UsageError: The store has no source of that name.
    """
    known = [name for name in index.sources if name != MIXTURE]
    if unknown := sorted(set(names) - set(known)):
        raise UsageError(
            f"the store has no stem '{unknown[0]}': choose --stems from {','.join(known)}."
        )
    return [index.sources.index(name) for name in names or known]


def draw_segments(candidates: IntArray, size: int, rng: np.random.Generator) -> IntArray:
    """Draw `size` segments (size,) from candidates (candidates,), without replacement if possible.

    With fewer candidates than `size`, each is drawn equally often, give or take one: repeats are
    false negatives, and this minimises them.
    """
    rounds = -(-size // len(candidates))
    if rounds == 1:
        return rng.choice(candidates, size, replace=False)
    shuffled = [rng.permutation(candidates) for _ in range(rounds)]
    return np.concatenate(shuffled)[:size]


def draw_excerpts(
    index: StoreIndex, candidates: IntArray, size: int, excerpts: int, rng: np.random.Generator
) -> IntArray:
    """Draw segments (size,), `excerpts` of each track that has so many candidates.

    Args:
        index: Index of the store.
        candidates: (candidates,) rows of segments.
        size: Number of segments.
        excerpts: Segments of one track, neighbours in the result; 1 draws segments without regard
            to tracks. If tracks run out, further segments of them are drawn.
        rng: Random generator.
    """
    if excerpts == 1:
        return draw_segments(candidates, size, rng)
    order = rng.permutation(candidates)
    track = index.segment_track[order]
    by_track = np.argsort(track, kind="stable")
    first = np.searchsorted(track[by_track], track[by_track])
    rank, begin = np.empty_like(by_track), np.empty_like(by_track)
    rank[by_track] = np.arange(len(order)) - first
    begin[by_track] = by_track[first]
    # Tracks in the order of their first segment; what exceeds `excerpts` comes last.
    queue = order[np.lexsort((rank, begin, rank >= excerpts))]
    return np.resize(queue, size)


def repeats(segments: int, batch_size: int, verb: str) -> list[str]:
    """Warning lines if there are fewer segments than rows in a batch."""
    if segments >= batch_size:
        return []
    return [
        f"the store {verb} {segments} segments for a batch of {batch_size}: some repeat within it"
        " and count as wrong answers; lower --batch-size or add music."
    ]
