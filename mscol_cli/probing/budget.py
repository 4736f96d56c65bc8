"""Which training clips a label budget buys: stratified, nested, the same for the same seed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mscol_cli.probing.clips import BoolArray


def budget_rows(targets: BoolArray, fraction: float, seed: int) -> NDArray[np.int64]:
    """The rows of a share of the clips, in ascending order.

    Clips are drawn class by class, a clip of many labels belonging to the rarest of them. A larger
    share of one seed holds all clips of a smaller. Every class that has clips keeps one at least.

    Args:
        targets: (clips, classes).
        fraction: Share of the clips, above 0, at most 1; at least one clip is drawn.
        seed: Of the draw.
    """
    strata = _strata(targets)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(targets))
    place = np.empty(len(targets))
    firsts = []
    for stratum in np.unique(strata):
        members = shuffled[strata[shuffled] == stratum]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        firsts.append(members[0])
    drawn = shuffled[np.argsort(place[shuffled], kind="stable")]
    wanted = max(1, math.floor(fraction * len(targets) + 0.5))
    return np.unique(np.concatenate([drawn[:wanted], np.array(firsts, dtype=np.int64)]))


def _strata(targets: BoolArray) -> NDArray[np.int64]:
    """(clips,) the rarest label of each clip; one more for clips without any."""
    counts = targets.sum(axis=0)
    bare = np.full((len(targets), 1), len(targets) + 1)
    rarity = np.where(targets, counts, len(targets) + 2)
    return np.asarray(np.concatenate([rarity, bare], axis=1).argmin(axis=1), dtype=np.int64)
