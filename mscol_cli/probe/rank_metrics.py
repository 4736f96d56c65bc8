"""Metrics of retrieval: recall at k and median normalised rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.probe.windows import BoolArray, FloatArray, Weights

COLUMNS = ("rank", "candidates", "equal")
"""Columns of the scores of queries: rank of the target, 1 for the first; how many were ranked; and
how many of them are as similar as the target, itself included. These share the mean of their ranks.
"""
Score = Callable[[FloatArray, BoolArray], float]
Weighted = Callable[[FloatArray, BoolArray, Weights], FloatArray]


def recall_at(k: int) -> tuple[Score, Weighted]:
    """Share of queries (queries, 3) whose target is among the first k, plain and weighted: of equal
    candidates, the expectation over their random orders."""

    def recall(scores: FloatArray, _: BoolArray) -> float:
        return float(expected_hits(scores, k).mean())

    def weighted_recall(scores: FloatArray, _: BoolArray, weights: Weights) -> FloatArray:
        hits = (expected_hits(scores, k)[:, None] * weights).sum(axis=0, dtype=np.float64)
        return np.asarray(hits / weights.sum(axis=0, dtype=np.float64))

    return recall, weighted_recall


def expected_hits(scores: FloatArray, k: int) -> FloatArray:
    """(queries,) probability that a target is among the first k if ties are ordered at random."""
    rank, _, equal = scores.T
    above = rank - 1 - (equal - 1) / 2
    return np.asarray(np.clip((k - above) / equal, 0, 1))


def with_ties(columns: NDArray[Any]) -> NDArray[Any]:
    """Ranks, or their labels, with all `COLUMNS`: ties (..., queries, 2) of older files are 1."""
    return np.concatenate([columns, np.ones_like(columns[..., :1])], axis=-1)


def normalised_ranks(scores: FloatArray) -> FloatArray:
    """(queries,) ranks of the targets, 0 for the first candidate and 1 for the last."""
    return np.asarray((scores[:, 0] - 1) / (scores[:, 1] - 1))


def median_rank(scores: FloatArray, _: BoolArray) -> float:
    """Median normalised rank of queries (queries, 3)."""
    return float(np.median(normalised_ranks(scores)))


def weighted_median_rank(scores: FloatArray, _: BoolArray, weights: Weights) -> FloatArray:
    """(resamples,) median normalised rank; weights (queries, resamples)."""
    ranks = normalised_ranks(scores)
    order = np.argsort(ranks, kind="stable")
    count = np.cumsum(weights[order], axis=0, dtype=np.float64)
    half = count[-1] / 2
    # The mean of both middle values, which are one unless the number is even.
    lower, upper = (count >= half).argmax(axis=0), (count > half).argmax(axis=0)
    return np.asarray((ranks[order][lower] + ranks[order][upper]) / 2)


def chance(candidates: FloatArray, k: int | None) -> float:
    """Expected recall at k of a random order, or for k None the median normalised rank."""
    return 0.5 if k is None else float(np.minimum(k / candidates, 1).mean())
