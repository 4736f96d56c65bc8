"""Exact neighbours, compared with all similarities written slowly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mscol_cli.similar import search
from mscol_cli.similar.search import ClipVectors, Match, nearest


def clip_vectors(counts: list[int], shards: int = 1, gap: int = 0) -> ClipVectors:
    """Random clips in shards, with `gap` rows of no clip after each."""
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((count + gap, 5)).astype(np.float32) for count in counts]
    lengths = [len(part) for part in rows]
    stacked = np.concatenate(rows)
    cuts = [sum(lengths[: len(counts) * part // shards]) for part in range(1, shards)]
    return ClipVectors(
        np.split(stacked, cuts),
        np.cumsum([0, *lengths[:-1]]),
        np.array(counts),
    )


def slowly(vectors: ClipVectors, query: NDArray[np.float32], left_out: set[int]) -> list[Match]:
    matches = []
    for clip in set(range(len(vectors))) - left_out:
        rows = vectors.clip(clip)
        cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
        matches.append(Match(clip, int(cosines.argmax()), float(cosines.max())))
    return sorted(matches, key=lambda match: -match.similarity)


@pytest.mark.parametrize("block", [1, 64, 1 << 20])
@pytest.mark.parametrize(
    "vectors",
    [
        clip_vectors([1] * 30),
        clip_vectors([1] * 30, shards=3, gap=1),
        clip_vectors([1, 4, 2, 7, 1, 3] * 4, shards=2),
        clip_vectors([2, 1, 5] * 5, shards=2, gap=2),
    ],
)
def test_the_nearest_clips_are_those_of_all_similarities(
    vectors: ClipVectors, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "BLOCK_BYTES", block)
    monkeypatch.setattr(search, "SCORE_BYTES", 1000)
    queries = np.random.default_rng(1).standard_normal((20, 5)).astype(np.float32)
    excluded = [{number % len(vectors)} for number in range(20)]
    found = nearest(vectors, queries, 4, excluded)
    for query, left_out, matches in zip(queries, excluded, found, strict=True):
        expected = slowly(vectors, query, left_out)[:4]
        assert [(match.clip, match.row) for match in matches] == [
            (match.clip, match.row) for match in expected
        ]
        cosines = [match.similarity for match in expected]
        np.testing.assert_allclose([match.similarity for match in matches], cosines, rtol=1e-5)


def test_the_order_of_clips_on_disk_does_not_matter() -> None:
    vectors = clip_vectors([3, 1, 2, 4])
    turned = replace(vectors, first=vectors.first[::-1], counts=vectors.counts[::-1])
    query = np.ones((1, 5), dtype=np.float32)
    first, second = nearest(vectors, query, 4)[0], nearest(turned, query, 4)[0]
    assert [match.clip for match in first] == [3 - match.clip for match in second]


def test_fewer_clips_than_asked_for_are_all_returned() -> None:
    (matches,) = nearest(clip_vectors([1, 2]), np.ones((1, 5), dtype=np.float32), 10, [[0]])
    assert [match.clip for match in matches] == [1]


def test_vectors_of_zero_are_similar_to_nothing() -> None:
    vectors = ClipVectors([np.zeros((2, 3), dtype=np.float16)], np.arange(2), np.ones(2, int))
    (matches,) = nearest(vectors, np.ones((1, 3), dtype=np.float32), 2)
    assert [(match.clip, match.similarity) for match in matches] == [(0, 0.0), (1, 0.0)]


def test_equally_similar_clips_come_in_order() -> None:
    vectors = ClipVectors([np.ones((5, 3), dtype=np.float32)], np.arange(5), np.ones(5, int))
    (matches,) = nearest(vectors, np.ones((1, 3), dtype=np.float32), 5)
    assert [match.clip for match in matches] == [0, 1, 2, 3, 4]
