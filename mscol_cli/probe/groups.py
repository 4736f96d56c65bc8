"""What resamples of test clips draw: single clips, or groups of clips that resemble one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.contracts.plans import IntArray
from mscol_cli.contracts.task import TaskItem
from mscol_cli.system.units import counted

MIN_CLIPS = 10
"""Positive and negative clips, or groups with such clips, that a class needs for an interval."""


@dataclass(frozen=True)
class ClipGroups:
    """What resamples of test clips draw.

    Attributes:
        kind: Kind of group that is drawn as a whole, such as `artist`; empty for single clips.
        names: Group of each test clip; empty for single clips.
    """

    kind: str = ""
    names: tuple[str, ...] = ()

    def numbers(self, rows: Sequence[int]) -> IntArray | None:
        """(rows,) numbers of the groups of some clips, from 0; None for single clips."""
        if not self.names:
            return None
        names = [self.names[row] for row in rows]
        number = {name: number for number, name in enumerate(sorted(set(names)))}
        return np.array([number[name] for name in names], dtype=np.int64)

    def count(self, rows: Sequence[int]) -> int:
        """Number of groups of some clips; 0 for single clips."""
        return len({self.names[row] for row in rows}) if self.names else 0


UNGROUPED = ClipGroups()
"""Single clips are drawn."""


def groups_of(items: Sequence[TaskItem]) -> ClipGroups:
    """What to draw among the test clips of a task.

    Clips of one artist resemble one another, as do those of one song: the kind with the fewest
    groups is drawn, which includes the dependence within the others if groups are nested. A clip
    without this kind is a group of its own. Kinds that put every clip in its own group say nothing
    about dependence and are not used. Clips of a single group are one unit: nothing is known about
    others.
    """
    by_kind = {
        kind: tuple(_group(item, kind) for item in items)
        for kind in sorted({kind for item in items for kind in item.groups})
    }
    counts = {kind: len(set(names)) for kind, names in by_kind.items()}
    usable = [kind for kind, count in counts.items() if count < len(items)]
    if not usable:
        return UNGROUPED
    chosen = min(usable, key=counts.__getitem__)
    return ClipGroups(chosen, by_kind[chosen])


def describe_size(count: int, unit: str, kind: str, groups: int) -> str:
    """Describe a number of clips or queries, and of the groups that are drawn."""
    drawn = f" of {counted(groups, kind)}" if kind else ""
    return f"{count:,} {unit}{drawn}"


def describe_drawn(kind: str) -> str:
    """Name what is drawn, in the plural."""
    return f"{kind}s" if kind else "clips"


def _group(item: TaskItem, kind: str) -> str:
    # No kind is empty, so the names of single clips are not those of groups.
    return f"{kind}: {item.groups[kind]}" if item.groups.get(kind) else f": {item.id}"
