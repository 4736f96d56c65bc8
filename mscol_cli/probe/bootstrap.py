"""How much a score, or the difference of two, could change with other test clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.probe.metrics import resampled_metrics
from mscol_cli.probe.windows import BoolArray, FloatArray, Weights

RESAMPLES = 1000
LEVEL = 0.95
BLOCK = 250
ROUNDING = 1e-12


@dataclass(frozen=True)
class Resampled:
    """A score, and what it is on drawn test clips.

    Attributes:
        value: Mean over seeds on the test clips.
        draws: (resamples,) the same on drawn clips; not a number where no class could be scored.
    """

    value: float
    draws: FloatArray

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the value, within 0 and 1.

        The bounds are percentiles, moved by the bias of the draws: drawing a positive twice raises
        average precision, so that of few positives would else lie low in its own interval, or
        below it.
        """
        draws = self.draws[np.isfinite(self.draws)]
        low, high = _percentiles(_moved(self.value, draws))
        return max(0.0, low), min(1.0, high)


@dataclass(frozen=True)
class Difference:
    """One score minus another, both on the same test clips.

    Attributes:
        value: The difference.
        low: Lower bound of its 95 % interval.
        high: Its upper bound.
        p: Two-sided: how likely so large a difference is if there is none.
    """

    value: float
    low: float
    high: float
    p: float


def resample(
    metric: str,
    scores: FloatArray,
    targets: BoolArray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """`resample_all` for one metric."""
    drawn = resample_all([metric], scores, targets, resamples=resamples, seed=seed)
    return drawn[metric]


def resample_all(
    metrics: Sequence[str],
    scores: FloatArray,
    targets: BoolArray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Resampled]:
    """Scores on test clips drawn with replacement, by metric.

    Every seed's classifier is scored on the same drawn clips, and the mean over seeds is what
    varies. The spread over seeds is not in it.

    Args:
        metrics: Names of metrics that are reported.
        scores: (seeds, clips, classes).
        targets: (clips, classes).
        resamples: How often to draw.
        seed: The same seed draws the same clips, for any metric and model.
    """
    value = _mean_over_seeds(metrics, scores, targets, np.ones((len(targets), 1), np.float32))
    rng = np.random.default_rng(seed)
    blocks = [
        _mean_over_seeds(metrics, scores, targets, _draw(rng, len(targets), size))
        for size in _blocks(resamples)
    ]
    return {
        metric: Resampled(
            float(value[metric][0]), np.concatenate([block[metric] for block in blocks])
        )
        for metric in metrics
    }


def difference(first: Resampled, second: Resampled) -> Difference:
    """What the first has over the second, when both were scored on the same drawn clips.

    The p-value is twice the smaller share of draws on either side of no difference, moved by their
    bias as the interval is; one draw more on each side keeps it above 0. So p is below 0.05 when
    the interval leaves out 0, but for that draw. A draw on which both score the same is on both
    sides, and is not moved: where two models differ in few clips, such draws are many, and the
    chance that is in the bias would decide on which side all of them are.
    """
    value, draws = first.value - second.value, first.draws - second.draws
    draws = draws[np.isfinite(draws)]
    # Differences of equal scores are rounding noise around 0.
    same = np.abs(draws) <= ROUNDING
    moved = np.where(same, 0.0, _moved(value, draws))
    low, high = _percentiles(moved)
    beyond = min(int((moved <= ROUNDING).sum()), int((moved >= -ROUNDING).sum()))
    return Difference(value, low, high, min(1.0, 2 * (beyond + 1) / (len(moved) + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of a family of tests, corrected by Holm's method for their number."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def _moved(value: float, draws: FloatArray) -> FloatArray:
    return np.asarray(draws - (draws.mean() - value))


def _percentiles(draws: FloatArray) -> tuple[float, float]:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def _mean_over_seeds(
    metrics: Sequence[str], scores: FloatArray, targets: BoolArray, weights: Weights
) -> dict[str, FloatArray]:
    by_seed = [resampled_metrics(metrics, one, targets, weights) for one in scores]
    return {
        metric: np.asarray(np.mean([one[metric] for one in by_seed], axis=0), dtype=np.float64)
        for metric in metrics
    }


def _draw(rng: np.random.Generator, clips: int, resamples: int) -> Weights:
    drawn = rng.integers(clips, size=(resamples, clips))
    counts = [np.bincount(row, minlength=clips) for row in drawn]
    return np.ascontiguousarray(np.stack(counts, axis=1), dtype=np.float32)


def _blocks(resamples: int) -> list[int]:
    return [min(BLOCK, resamples - start) for start in range(0, resamples, BLOCK)]
