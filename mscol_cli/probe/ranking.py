"""Ranking of the clips of one class, for many weighted resamples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.probe.windows import BoolArray, FloatArray, Weights


class Ranking:
    """Clips of one class in descending order of score, summed over blocks.

    Only scores that a positive has need a separate block in the ranking; all clips between two of
    them are summed in one block. Rows of the arrays are blocks.

    Args:
        scores: (clips,) scores of the class.
        positive: (clips,) whether a clip has the class.
        weights: (clips, resamples) number of times that each clip was drawn.
    """

    def __init__(self, scores: FloatArray, positive: BoolArray, weights: Weights) -> None:
        order = np.argsort(-scores, kind="stable")
        starts = _block_starts(scores[order], positive[order])
        positions = np.flatnonzero(positive[order])
        self.rows, first = np.unique(
            np.searchsorted(starts, positions, side="right") - 1, return_index=True
        )
        block_weights = np.add.reduceat(weights[order], starts, axis=0)
        self.positives = np.add.reduceat(weights[order[positions]], first, axis=0)
        self.positive_total = sum_rows(self.positives)
        self.total = sum_rows(block_weights)
        # Sums of integers are exact in float32 up to 16 million clips.
        self.ranked = np.cumsum(block_weights, axis=0)[self.rows]
        self.negatives = block_weights[self.rows] - self.positives

    def average_precision(self) -> FloatArray:
        """(resamples,) mean precision at each threshold, weighted by the gain in recall."""
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.cumsum(self.positives, axis=0) / self.ranked
            gained = np.where(self.positives > 0, self.positives * precision, 0.0)
            return self._defined(sum_rows(gained) / self.positive_total)

    def roc_auc(self) -> FloatArray:
        """(resamples,) share of (positive, negative) pairs in the correct order; ties count 0.5."""
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
    """Sum (rows, resamples) over rows, in float64."""
    return np.asarray(rows.sum(axis=0, dtype=np.float64))


def _block_starts(scores: FloatArray, positive: BoolArray) -> NDArray[np.intp]:
    """Start of each block: ties with a positive, and the clips between two such ties."""
    first = np.append(True, scores[1:] != scores[:-1])
    tie = np.cumsum(first) - 1
    has_positive = np.zeros(tie[-1] + 1, dtype=bool)
    has_positive[tie[positive]] = True
    follows_positive = np.append(True, has_positive[:-1])
    return np.flatnonzero(first & (has_positive | follows_positive)[tie])
