"""Clips of one class in the order of their scores, for many weighted resamples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.probe.windows import BoolArray, FloatArray, Weights


class Ranking:
    """Clips of one class in falling order of score, summed over stretches that matter.

    Only the clips that share a score with a positive need a place of their own in the ranking;
    all between two of these are added up in one step. Rows below are such stretches.
    """

    def __init__(self, scores: FloatArray, positive: BoolArray, weights: Weights) -> None:
        order = np.argsort(-scores, kind="stable")
        starts = _stretches(scores[order], positive[order])
        places = np.flatnonzero(positive[order])
        self.rows, first = np.unique(
            np.searchsorted(starts, places, side="right") - 1, return_index=True
        )
        everything = np.add.reduceat(weights[order], starts, axis=0)
        self.positives = np.add.reduceat(weights[order[places]], first, axis=0)
        self.positive_total = sum_rows(self.positives)
        self.total = sum_rows(everything)
        # Sums of whole numbers: exact in float32 up to 16 million clips.
        self.ranked = np.cumsum(everything, axis=0)[self.rows]
        self.negatives = everything[self.rows] - self.positives

    def average_precision(self) -> FloatArray:
        """Precision at each threshold, weighted by the recall gained there."""
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.cumsum(self.positives, axis=0) / self.ranked
            gained = np.where(self.positives > 0, self.positives * precision, 0.0)
            return self._defined(sum_rows(gained) / self.positive_total)

    def roc_auc(self) -> FloatArray:
        """Share of pairs (positive, negative) in the right order, ties counting a half."""
        negative_total = self.total - self.positive_total
        ranked_negatives = self.ranked - np.cumsum(self.positives, axis=0)
        below = negative_total - ranked_negatives + 0.5 * self.negatives
        with np.errstate(invalid="ignore", divide="ignore"):
            pairs = self.positive_total * negative_total
            return self._defined(sum_rows(self.positives * below) / pairs)

    def _defined(self, values: FloatArray) -> FloatArray:
        both = (self.positive_total > 0) & (self.positive_total < self.total)
        return np.where(both, values, np.nan)


def sum_rows(rows: NDArray[Any]) -> FloatArray:
    """(rows, resamples) summed over rows, in float64."""
    return np.asarray(rows.sum(axis=0, dtype=np.float64))


def _stretches(scores: FloatArray, positive: BoolArray) -> NDArray[np.intp]:
    """First places of the stretches: ties that hold a positive, and what lies between them."""
    first = np.append(True, scores[1:] != scores[:-1])
    tie = np.cumsum(first) - 1
    holds_positive = np.zeros(tie[-1] + 1, dtype=bool)
    holds_positive[tie[positive]] = True
    follows_positive = np.append(True, holds_positive[:-1])
    return np.flatnonzero(first & (holds_positive | follows_positive)[tie])
