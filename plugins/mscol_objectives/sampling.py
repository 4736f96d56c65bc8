"""Sampling of segments, without repeats where there are enough."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Candidates:
    """Segments to draw from, by track.

    Attributes:
        segments: (candidates,) rows of segments, those of one track next to each other.
        first: (tracks,) position in `segments` of the first one of each track.
        count: (tracks,) number of segments of each track.
    """

    segments: IntArray
    first: IntArray
    count: IntArray

    @classmethod
    def of(cls, index: StoreIndex, segments: IntArray) -> Candidates:
        """Sort some segments of a store by track."""
        track = index.segment_track[segments]
        order = np.argsort(track, kind="stable")
        first = np.flatnonzero(np.diff(track[order], prepend=-1))
        return cls(segments[order], first, np.diff(first, append=len(segments)))


def draw_excerpts(
    candidates: Candidates, size: int, excerpts: int, rng: np.random.Generator
) -> IntArray:
    """Draw segments (size,), `excerpts` of each track that has so many candidates.

    The time grows with the number of tracks, not of segments: a store has millions of them.

    Args:
        candidates: Segments to draw from.
        size: Number of segments.
        excerpts: Segments of one track, neighbours in the result; 1 draws segments without regard
            to tracks. If tracks run out, further segments of them are drawn.
        rng: Random generator.
    """
    segments, first, count = candidates.segments, candidates.first, candidates.count
    if excerpts == 1:
        return draw_segments(segments, size, rng)
    # Tracks in the order in which their first segment would be drawn from all segments.
    arrival = rng.standard_exponential(len(count)) / count
    earliest = np.argpartition(arrival, min(size, len(arrival)) - 1)[:size]
    tracks = earliest[arrival[earliest].argsort()]
    positions = [first[track] + rng.permutation(count[track])[:excerpts] for track in tracks]
    drawn = segments[np.concatenate(positions)]
    if len(drawn) < size:
        rest = np.setdiff1d(segments, drawn)
        drawn = np.concatenate([drawn, rng.permutation(rest)])
    return np.resize(drawn, size)


def repeats(segments: int, batch_size: int, verb: str) -> list[str]:
    """Warning lines if there are fewer segments than rows in a batch."""
    if segments >= batch_size:
        return []
    return [
        f"the store {verb} {segments} segments for a batch of {batch_size}: some repeat within it"
        " and count as wrong answers; lower --batch-size or add music."
    ]
