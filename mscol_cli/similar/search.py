"""Exact nearest neighbours by cosine similarity, in one pass over the vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Piece = tuple[int, NDArray[np.floating]]

BLOCK_BYTES = 1 << 20
"""Bytes of vectors as float32 that are multiplied at a time: they stay in the processor's cache."""
SCORE_BYTES = 1 << 25
"""Bytes of similarities in memory, unless those of a single query are more."""


@dataclass(frozen=True)
class ClipVectors:
    """Vectors of clips, one or more rows each.

    Attributes:
        shards: Arrays (rows, dim) of any float type, such as memory maps. The rows of all shards
            are numbered consecutively.
        first: (clips,) first row of each clip; the other rows of the clip follow.
        counts: (clips,) number of rows of each clip, at least one.
    """

    shards: Sequence[NDArray[np.floating]]
    first: IntArray
    counts: IntArray

    def __len__(self) -> int:
        return len(self.first)

    @property
    def rows(self) -> int:
        """Number of rows of all shards, including rows of no clip."""
        return sum(map(len, self.shards))

    def pieces(self) -> Iterator[Piece]:
        """Yield all vectors in order: the number of the first row, and (rows, dim)."""
        start = 0
        for shard in self.shards:
            step = max(1, BLOCK_BYTES // (4 * shard.shape[1]))
            for row in range(0, len(shard), step):
                yield start + row, shard[row : row + step]
            start += len(shard)

    def means(self) -> FloatArray:
        """(clips, dim) mean vector of each clip, in memory."""
        if (self.counts == 1).all():
            return np.concatenate([part for _, part in self.pieces()], dtype=np.float32)[self.first]
        return np.stack([self.clip(clip).mean(axis=0) for clip in range(len(self))])

    def clip(self, clip: int) -> FloatArray:
        """Vectors of a clip, (rows, dim)."""
        row = int(self.first[clip])
        for shard in self.shards:
            if row < len(shard):
                return np.asarray(shard[row : row + self.counts[clip]], dtype=np.float32)
            row -= len(shard)
        raise IndexError(clip)


@dataclass(frozen=True)
class Match:
    """A neighbour of a query.

    Attributes:
        clip: Number of the clip.
        row: The clip's row that is nearest to the query, counted from its first.
        similarity: Cosine similarity.
    """

    clip: int
    row: int
    similarity: float


def nearest(
    vectors: ClipVectors,
    queries: FloatArray,
    count: int,
    excluded: Sequence[Iterable[int]] = (),
    advance: Callable[[int], None] | None = None,
) -> list[list[Match]]:
    """Find the clips nearest to each query; the similarity of a clip is that of its best row.

    Args:
        vectors: Clips to search.
        queries: (queries, dim).
        count: Maximum number of neighbours of a query, at least one.
        excluded: For each query, clips that are left out; empty for none.
        advance: Called with the number of queries that were answered.

    Returns:
        Neighbours of each query, nearest first.
    """
    group = max(1, SCORE_BYTES // (4 * max(vectors.rows, 1)))
    answers: list[list[Match]] = []
    for row in range(0, len(queries), group):
        part = slice(row, row + group)
        answers += _nearest(vectors, queries[part], count, excluded[part])
        if advance is not None:
            advance(len(queries[part]))
    return answers


def unit(vectors: FloatArray) -> FloatArray:
    """Scale vectors (rows, dim) to length 1; zero vectors stay zero."""
    return vectors / _norms(vectors)[:, None]


def _nearest(
    vectors: ClipVectors, queries: FloatArray, count: int, excluded: Sequence[Iterable[int]]
) -> list[list[Match]]:
    scores = _similarities(vectors, unit(queries))
    best = _best_of_clips(vectors, scores)
    for query, clips in enumerate(excluded):
        best[query, list(clips)] = -np.inf
    kept = min(count, len(vectors))
    # Much faster than argpartition, and equally similar clips are all candidates.
    least = np.partition(best, len(vectors) - kept, axis=1)[:, len(vectors) - kept]
    return [
        _matches(vectors, scores[query], best[query], np.flatnonzero(best[query] >= least[query]))[
            :kept
        ]
        for query in range(len(queries))
    ]


def _similarities(vectors: ClipVectors, queries: FloatArray) -> FloatArray:
    """(queries, rows) cosine similarities to unit vectors."""
    scores = np.empty((len(queries), vectors.rows), dtype=np.float32)
    for row, piece in vectors.pieces():
        block = np.asarray(piece, dtype=np.float32)
        part = scores[:, row : row + len(block)]
        np.matmul(queries, block.T, out=part)
        part /= _norms(block)
    return scores


def _norms(vectors: FloatArray) -> FloatArray:
    squares = np.einsum("ij,ij->i", vectors, vectors)
    norms: FloatArray = np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
    return norms


def _best_of_clips(vectors: ClipVectors, scores: FloatArray) -> FloatArray:
    """(queries, clips) similarity of the best row of each clip."""
    if (vectors.counts == 1).all():
        every_row = np.array_equal(vectors.first, np.arange(scores.shape[1]))
        return scores if every_row else scores[:, vectors.first]
    order = np.argsort(vectors.first)
    first = vectors.first[order]
    # Maxima of the rows of a clip and of the rows up to the next clip, alternately.
    edges = np.fromiter(
        chain.from_iterable(zip(first, first + vectors.counts[order], strict=True)), dtype=np.int64
    )
    end = np.full((len(scores), 1), -np.inf, dtype=np.float32)  # the last edge must exist
    best = np.empty((len(scores), len(vectors)), dtype=np.float32)
    best[:, order] = np.maximum.reduceat(np.hstack([scores, end]), edges, axis=1)[:, ::2]
    return best


def _matches(
    vectors: ClipVectors, scores: FloatArray, best: FloatArray, clips: IntArray
) -> list[Match]:
    # Of equally similar clips the first comes first.
    ordered = clips[np.lexsort((clips, -best[clips]))]
    return [
        Match(clip, _best_row(vectors, scores, clip), float(best[clip]))
        for clip in ordered.tolist()
        if np.isfinite(best[clip])
    ]


def _best_row(vectors: ClipVectors, scores: FloatArray, clip: int) -> int:
    first = int(vectors.first[clip])
    if vectors.counts[clip] == 1:
        return 0
    return int(np.argmax(scores[first : first + int(vectors.counts[clip])]))
