"""Bootstrap over test clips, or groups of them: intervals of scores, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, ndtri, stdtr, stdtrit

from mscol_cli.contracts.plans import IntArray
from mscol_cli.probe.metrics import METRICS, resampled_metrics
from mscol_cli.probe.windows import BoolArray, FloatArray, Weights

RESAMPLES = 1000
LEVEL = 0.95
BLOCK = 250
ROUNDING = 1e-12
FEWEST = 6
"""Clips or groups that a test needs: five that all favour one model have p = 0.06."""


@dataclass(frozen=True)
class Resampled:
    """A score on the test clips and on resampled test clips.

    Attributes:
        value: Mean over seeds on the test clips.
        draws: (resamples,) mean over seeds per resample; NaN if no class could be scored.
        units: Number of clips, or of groups of clips, that are drawn.
        proportion: Whether the score is a share of hits.
    """

    value: float
    draws: FloatArray
    units: int
    proportion: bool = False

    def interval(self) -> tuple[float, float]:
        """95 % interval of the value, clipped to [0, 1].

        The bounds are percentiles, corrected for the bias of the draws (a positive that is drawn
        twice raises average precision) and expanded for few units: Hesterberg, "What Teachers
        Should Know About the Bootstrap" (2015). Of draws without a score, half may be below it, and
        half above. A single unit leaves everything open. If all draws of a proportion are equal, as
        without any error, the interval is the binomial one. That of another metric has no width.
        """
        draws = self.draws[np.isfinite(self.draws)]
        if self.units < 2 or not len(draws):
            return 0.0, 1.0
        if self.proportion and np.ptp(draws) <= ROUNDING:
            return binomial_interval(self.value, self.units)
        expanded = _expanded(self.value, draws, self.units)
        low, high = _percentiles(expanded, 1 - len(draws) / len(self.draws))
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
        groups: (clips,) number of the group of each clip, from 0, such as a track with several
            queries; complete groups are drawn. None if clips are independent.
        resamples: Number of resamples.
        seed: Random seed. The same seed draws the same clips for all metrics and models.
    """
    value = _mean_over_seeds(metrics, scores, targets, np.ones((len(targets), 1), np.float32))
    units = len(targets) if groups is None else int(groups.max()) + 1
    rng = np.random.default_rng(seed)
    blocks = [
        _mean_over_seeds(metrics, scores, targets, drawn if groups is None else drawn[groups])
        for size in _blocks(resamples)
        for drawn in [_draw(rng, units, size)]
    ]
    return {
        metric: Resampled(
            float(value[metric][0]),
            np.concatenate([block[metric] for block in blocks]),
            units,
            METRICS[metric].proportion,
        )
        for metric in metrics
    }


def difference(first: Resampled, second: Resampled) -> Difference:
    """Subtract the second score from the first; both must use the same resamples.

    The p-value is twice the smaller share of draws on one side of 0, with the corrections of the
    interval and one extra draw per side, which keeps p above 0. Apart from that draw, p is below
    0.05 if the interval excludes 0. If no draw is on the other side, p is at most that of a t test
    with the standard deviation of the draws: 2 in 1,001 draws would be too coarse for `holm`, which
    multiplies p by the number of pairs. Draws with equal scores, and those without a score, count
    on both sides. Equal scores are not corrected: models that differ in few clips have many such
    draws, and the random bias would decide which side all of them are on. p is not below that of a
    sign test, 2 ** (1 - units). Fewer than `FEWEST` units are not tested: p is 1, and the interval
    -1 to 1.
    """
    value, draws = first.value - second.value, first.draws - second.draws
    units = min(first.units, second.units)
    finite = draws[np.isfinite(draws)]
    if units < FEWEST or not len(finite):
        return Difference(value, -1.0, 1.0, 1.0)
    # Differences of equal scores are rounding noise around 0.
    same = np.abs(finite) <= ROUNDING
    corrected = np.where(same, 0.0, _expanded(value, finite, units))
    low, high = _percentiles(corrected, 1 - len(finite) / len(draws))
    beyond = min(int((corrected <= ROUNDING).sum()), int((corrected >= -ROUNDING).sum()))
    beyond += len(draws) - len(finite)
    p = 2 * (beyond + 1) / (len(draws) + 1)
    if not beyond:
        p = min(p, _t_test(value, finite, units))
    return Difference(value, max(-1.0, low), min(1.0, high), min(1.0, max(p, 2.0 ** (1 - units))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of a family of tests for their number, by Holm's method."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def binomial_interval(share: float, units: int) -> tuple[float, float]:
    """Exact 95 % interval of a share of hits among units (Clopper and Pearson, 1934)."""
    hits, tail = share * units, (1 - LEVEL) / 2
    low = betaincinv(hits, units - hits + 1, tail) if hits > 0 else 0.0
    high = betaincinv(hits + 1, units - hits, 1 - tail) if hits < units else 1.0
    return float(low), float(high)


def _expanded(value: float, draws: FloatArray, units: int) -> FloatArray:
    """Draws around the value, by quantiles of t and a variance with n - 1 of n units."""
    ratio = stdtrit(units - 1, (1 + LEVEL) / 2) / ndtri((1 + LEVEL) / 2)
    factor = ratio * np.sqrt(units / (units - 1))
    return np.asarray(value + factor * (draws - draws.mean()))


def _t_test(value: float, draws: FloatArray, units: int) -> float:
    """Two-sided p-value of the hypothesis that the mean is 0."""
    error = draws.std() * np.sqrt(units / (units - 1))
    return float(2 * stdtr(units - 1, -abs(value) / error)) if error else 0.0


def _percentiles(draws: FloatArray, missing: float) -> tuple[float, float]:
    """Bounds with a share of draws that is missing, half of it on each side."""
    tail = (1 - LEVEL - missing) / 2
    if tail < 0:
        return -np.inf, np.inf
    inner = 100 * tail / (1 - missing)
    low, high = np.percentile(draws, [inner, 100 - inner])
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
