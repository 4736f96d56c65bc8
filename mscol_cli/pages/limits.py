"""Limits of an axis that a few early values do not flatten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

WARM_UP = 0.05
"""The share of a curve's points, at its begin, that does not decide the limits."""
FEWEST = 10
"""Points from which on a curve has such a begin."""
TAIL, MARGIN = 1.0, 0.06
"""Per cent of later values on either side that may lie outside; room around the others, as a share
of their range."""
WORTH = 1.6
"""How much longer the axis would have to be to show all: else all is shown."""


@dataclass(frozen=True)
class Limits:
    """The ends of an axis, and what lies beyond.

    Attributes:
        low: Lower end.
        high: Upper end.
        above: Values above it.
        below: Values below the lower end.
    """

    low: float
    high: float
    above: Sequence[float]
    below: Sequence[float]

    @property
    def note(self) -> str:
        """What is cut, for the picture."""
        parts = [_cut(self.above, "above", self.high), _cut(self.below, "below", self.low)]
        return "; ".join(part for part in parts if part)


def robust_limits(curves: Iterable[Sequence[float]]) -> Limits | None:
    """Limits by the values after warm-up; None where all values fit on an axis well.

    Args:
        curves: (points,) values of each curve.
    """
    every = [np.asarray(values, dtype=np.float64) for values in curves if len(values)]
    later = [values[_begin(len(values)) :] for values in every]
    if not later:
        return None
    low, high = np.percentile(np.concatenate(later), [TAIL, 100 - TAIL])
    room = MARGIN * (high - low)
    low, high = float(low - room), float(high + room)
    points = np.concatenate(every)
    if high <= low or np.ptp(points) <= WORTH * (high - low):
        return None
    # Where little sticks out on a side, the axis is long enough for it.
    low = min(low, points.min() - room) if points.min() > low - WORTH * room else low
    high = max(high, points.max() + room) if points.max() < high + WORTH * room else high
    above, below = points[points > high], points[points < low]
    return Limits(float(low), float(high), above.tolist(), below.tolist())


def _begin(points: int) -> int:
    return int(np.ceil(WARM_UP * points)) if points >= FEWEST else 0


def _cut(values: Sequence[float], where: str, end: float) -> str:
    if not values:
        return ""
    most = max(values) if where == "above" else min(values)
    count = "1 point" if len(values) == 1 else f"{len(values)} points"
    name = "highest" if where == "above" else "lowest"
    return f"{count} {where} {end:.3g} cut off ({name}: {most:.3g})"
