"""Reliability of calibrated scores: accuracy by predicted confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.probe.windows import BoolArray, FloatArray

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions with similar confidence.

    Attributes:
        low: Lower bound of the confidence.
        high: Upper bound of the confidence.
        count: Number of predictions.
        confidence: Mean confidence.
        observed: Share of the predictions that are true.
    """

    low: float
    high: float
    count: int
    confidence: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    """Expected calibration error, with the table it is computed from.

    Attributes:
        error: Mean distance of confidence and observed share over the bins, weighted by count.
        bins: Bins of equal width that have predictions, by confidence.
    """

    error: float
    bins: Sequence[ReliabilityBin]


def reliability(probabilities: FloatArray, targets: BoolArray, multilabel: bool) -> Reliability:
    """Compute the expected calibration error (Guo et al., 2017), with ten bins of equal width.

    A prediction is the class with the highest probability of each clip or, if multi-label, each
    pair of clip and class.

    Args:
        probabilities: (clips, classes) probabilities.
        targets: (clips, classes) labels.
        multilabel: Whether a clip may have several labels.
    """
    if multilabel:
        confidences, hits = probabilities.ravel(), targets.ravel()
    else:
        rows, best = np.arange(len(targets)), probabilities.argmax(axis=1)
        confidences, hits = probabilities[rows, best], targets[rows, best]
    members = np.minimum((confidences * BINS).astype(np.int64), BINS - 1)
    bins = [
        ReliabilityBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            count=int(inside.sum()),
            confidence=float(confidences[inside].mean()),
            observed=float(hits[inside].mean()),
        )
        for number in range(BINS)
        if (inside := members == number).any()
    ]
    distances = sum(item.count * abs(item.confidence - item.observed) for item in bins)
    return Reliability(distances / len(confidences), bins)
