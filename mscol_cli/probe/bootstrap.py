"""Bootstrap over test clips: intervals of scores, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.contracts.plans import IntArray
from mscol_cli.probe.metrics import resampled_metrics
from mscol_cli.probe.windows import BoolArray, FloatArray, Weights

RESAMPLES = 1000
LEVEL = 0.95
BLOCK = 250
ROUNDING = 1e-12


@dataclass(frozen=True)
class Resampled:
    """A score on the test clips and on resampled test clips.

    Attributes:
        value: Mean over seeds on the test clips.
        draws: (resamples,) mean over seeds per resample; NaN if no class could be scored.
    """

    value: float
    draws: FloatArray

    def interval(self) -> tuple[float, float]:
        """95 % interval of the value, clipped to [0, 1].

        The bounds are percentiles, corrected for the bias of the draws: a positive that is drawn
        twice raises average precision, so with few positives the value would be near the lower
        bound, or below it.
        """
        draws = self.draws[np.isfinite(self.draws)]
        low, high = _percentiles(_without_bias(self.value, draws))
        return max(0.0, low), min(1.0, high)


@dataclass(frozen=True)
class Difference:
    """Difference of two scores on the same test clips.

    Attributes:
        value: The difference.
        low: Lower bound of the 95 % interval.
        high: Upper bound of the 95 % interval.
        p: Two-sided p-value of the hypothesis of no difference.
    """

    value: float
    low: float
    high: float
    p: float


def resample(
    metric: str,
    scores: FloatArray,
    targets: BoolArray,
    groups: IntArray | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """Same as `resample_all`, for one metric."""
    return resample_all([metric], scores, targets, groups, resamples=resamples, seed=seed)[metric]


def resample_all(
    metrics: Sequence[str],
    scores: FloatArray,
    targets: BoolArray,
    groups: IntArray | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Resampled]:
    """Score the mean over seeds on test clips drawn with replacement, by metric.

    The classifiers of all seeds are scored on the same resamples. The spread over seeds is not
    included.

    Args:
        metrics: Names of metrics that are reported.
        scores: (seeds, clips, classes) clip scores.
        targets: (clips, classes) labels.
        groups: (clips,) number of the group of each clip, such as a track with several queries;
            complete groups are drawn. None if clips are independent.
        resamples: Number of resamples.
        seed: Random seed. The same seed draws the same clips for all metrics and models.
    """
    value = _mean_over_seeds(metrics, scores, targets, np.ones((len(targets), 1), np.float32))
    rng, units = np.random.default_rng(seed), len(targets) if groups is None else groups.max() + 1
    blocks = [
        _mean_over_seeds(metrics, scores, targets, drawn if groups is None else drawn[groups])
        for size in _blocks(resamples)
        for drawn in [_draw(rng, units, size)]
    ]
    return {
        metric: Resampled(
            float(value[metric][0]), np.concatenate([block[metric] for block in blocks])
        )
        for metric in metrics
    }


def difference(first: Resampled, second: Resampled) -> Difference:
    """Subtract the second score from the first; both must use the same resamples.

    The p-value is twice the smaller share of draws on one side of 0, with the bias correction of
    the interval and one extra draw per side, which keeps p above 0. Apart from that draw, p is
    below 0.05 if the interval excludes 0. Draws with equal scores count on both sides and are not
    corrected: models that differ in few clips have many such draws, and the random bias would
    decide which side all of them are on.
    """
    value, draws = first.value - second.value, first.draws - second.draws
    draws = draws[np.isfinite(draws)]
    # Differences of equal scores are rounding noise around 0.
    same = np.abs(draws) <= ROUNDING
    corrected = np.where(same, 0.0, _without_bias(value, draws))
    low, high = _percentiles(corrected)
    beyond = min(int((corrected <= ROUNDING).sum()), int((corrected >= -ROUNDING).sum()))
    return Difference(value, low, high, min(1.0, 2 * (beyond + 1) / (len(corrected) + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of a family of tests for their number, by Holm's method."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _without_bias(value: float, draws: FloatArray) -> FloatArray:
    return np.asarray(draws - (draws.mean() - value))


def _percentiles(draws: FloatArray) -> tuple[float, float]:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def _mean_over_seeds(
    metrics: Sequence[str], scores: FloatArray, targets: BoolArray, weights: Weights
) -> dict[str, FloatArray]:
    by_seed = [resampled_metrics(metrics, of_seed, targets, weights) for of_seed in scores]
    return {
        metric: np.asarray(np.mean([seed[metric] for seed in by_seed], axis=0), dtype=np.float64)
        for metric in metrics
    }


def _draw(rng: np.random.Generator, clips: int, resamples: int) -> Weights:
    drawn = rng.integers(clips, size=(resamples, clips))
    counts = [np.bincount(row, minlength=clips) for row in drawn]
    return np.ascontiguousarray(np.stack(counts, axis=1), dtype=np.float32)


def _blocks(resamples: int) -> list[int]:
    return [min(BLOCK, resamples - start) for start in range(0, resamples, BLOCK)]
