"""Axis limits that are robust to a few early values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

WARM_UP = 0.05
"""Share of the first points of a curve that does not determine the limits."""
MIN_POINTS = 10
"""Minimum number of points of a curve with a warm-up."""
TAIL, MARGIN = 1.0, 0.06
"""Percentage of later values on either side that may be outside the limits; margin around the
others, as a share of their range."""
MIN_STRETCH = 1.6
"""Values are cut off only if the full axis would be longer by this factor."""


@dataclass(frozen=True)
class Limits:
    """Limits of an axis, and values beyond them.

    Attributes:
        low: Lower limit.
        high: Upper limit.
        above: Values above the upper limit.
        below: Values below the lower limit.
    """

    low: float
    high: float
    above: Sequence[float]
    below: Sequence[float]

    @property
    def note(self) -> str:
        """Note on the values that are cut off."""
        parts = [_cut(self.above, "above", self.high), _cut(self.below, "below", self.low)]
        return "; ".join(part for part in parts if part)


def robust_limits(curves: Iterable[Sequence[float]]) -> Limits | None:
    """Compute limits from the values after warm-up; None if nothing needs to be cut off.

    Args:
        curves: (points,) values of each curve.
    """
    values = [np.asarray(values, dtype=np.float64) for values in curves if len(values)]
    later = [values[_warm_up(len(values)) :] for values in values]
    if not later:
        return None
    low, high = np.percentile(np.concatenate(later), [TAIL, 100 - TAIL])
    room = MARGIN * (high - low)
    low, high = float(low - room), float(high + room)
    points = np.concatenate(values)
    if high <= low or np.ptp(points) <= MIN_STRETCH * (high - low):
        return None
    # Extend the axis on a side where little would be cut off.
    low = min(low, points.min() - room) if points.min() > low - MIN_STRETCH * room else low
    high = max(high, points.max() + room) if points.max() < high + MIN_STRETCH * room else high
    above, below = points[points > high], points[points < low]
    return Limits(float(low), float(high), above.tolist(), below.tolist())


def _warm_up(points: int) -> int:
    return int(np.ceil(WARM_UP * points)) if points >= MIN_POINTS else 0


def _cut(values: Sequence[float], where: str, end: float) -> str:
    if not values:
        return ""
    extreme = max(values) if where == "above" else min(values)
    count = "1 point" if len(values) == 1 else f"{len(values)} points"
    name = "highest" if where == "above" else "lowest"
    return f"{count} {where} {end:.3g} cut off ({name}: {extreme:.3g})"
