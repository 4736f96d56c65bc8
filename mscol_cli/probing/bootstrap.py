"""How much a score could change with other test clips."""

from __future__ import annotations

import numpy as np

from mscol_cli.probing.clips import BoolArray, FloatArray
from mscol_cli.probing.weighted import WEIGHTED, Weights

RESAMPLES = 1000
LEVEL = 0.95
BLOCK = 250


def interval(
    metric: str,
    scores: FloatArray,
    targets: BoolArray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % interval of the mean score over seeds.

    Test clips are drawn with replacement; every seed's classifier is scored on the same drawn
    clips, and the mean over seeds is what varies. The spread over seeds is not in it. The bounds
    are percentiles, moved by the bias of the resamples: drawing a positive twice raises average
    precision, so that of few positives would else lie low in its own interval, or below it.

    Args:
        metric: A name of `WEIGHTED`.
        scores: (seeds, clips, classes).
        targets: (clips, classes).
        resamples: How often to draw.
        seed: The same seed draws the same clips, for any metric and model.

    Returns:
        The bounds, within 0 and 1.
    """
    value = _mean_over_seeds(metric, scores, targets, np.ones((len(targets), 1), np.float32))
    rng = np.random.default_rng(seed)
    means = [
        _mean_over_seeds(metric, scores, targets, _draw(rng, len(targets), size))
        for size in _blocks(resamples)
    ]
    drawn = np.concatenate(means)
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(drawn, [tail, 100 - tail]) - (np.nanmean(drawn) - value)
    return max(0.0, float(low)), min(1.0, float(high))


def _mean_over_seeds(
    metric: str, scores: FloatArray, targets: BoolArray, weights: Weights
) -> FloatArray:
    by_seed = [WEIGHTED[metric](one, targets, weights) for one in scores]
    return np.asarray(np.mean(by_seed, axis=0), dtype=np.float64)


def _draw(rng: np.random.Generator, clips: int, resamples: int) -> Weights:
    drawn = rng.integers(clips, size=(resamples, clips))
    counts = [np.bincount(row, minlength=clips) for row in drawn]
    return np.ascontiguousarray(np.stack(counts, axis=1), dtype=np.float32)


def _blocks(resamples: int) -> list[int]:
    return [min(BLOCK, resamples - start) for start in range(0, resamples, BLOCK)]
