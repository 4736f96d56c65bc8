"""A stratified split of clips that keeps groups together; without duplicates, it depends on names
only."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.api import Split

# A class with fewer than three groups is assigned to splits in this order.
ORDER: tuple[Split, ...] = ("train", "test", "valid")


@dataclass(frozen=True)
class Clip:
    """A clip to assign to a split.

    Attributes:
        id: Path below the folder of the data set.
        path: The file.
        label: Name of the class.
        below: Path below the class folder.
        split: Split that the folder decides; None if it is to be assigned.
    """

    id: str
    path: Path
    label: str
    below: str
    split: Split | None = None


def assign_splits(
    clips: Sequence[Clip], valid: float, test: float, groups: Sequence[str], seed: int
) -> list[Split]:
    """Assign clips without a split to splits.

    The largest groups are assigned first, each to the split that brings class counts nearest to
    their targets (smallest sum of squared deviations, each divided by its target). Every class with
    at least three groups is represented in all three splits.

    Args:
        clips: Clips in any order, on which the result does not depend.
        valid: Share of clips for validation, above 0.
        test: Share of clips for testing, above 0.
        groups: Group of each clip, over all classes; empty for a clip that is a group of its own.
        seed: Random seed of the order of groups of the same size.

    Returns:
        The split of each clip.
    """
    names = [group or clip.id for clip, group in zip(clips, groups, strict=True)]
    members: dict[str, list[Clip]] = defaultdict(list)
    for clip, name in zip(clips, names, strict=True):
        if clip.split is None:
            members[name].append(clip)
    order = sorted(members, key=lambda name: (-len(members[name]), _digest(name, seed)))
    counts = {name: Counter(clip.label for clip in members[name]) for name in order}
    placed = _Placement(counts, {"train": 1 - valid - test, "valid": valid, "test": test})
    split_of = {name: placed.place(counts[name]) for name in order}
    return [clip.split or split_of[name] for clip, name in zip(clips, names, strict=True)]


def _digest(name: str, seed: int) -> bytes:
    # A name that is not UTF-8 is hashed by its bytes.
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


class _Placement:
    """Class counts of the splits while groups are assigned."""

    def __init__(self, groups: dict[str, Counter[str]], shares: dict[Split, float]) -> None:
        total = Counter[str]()
        for counts in groups.values():
            total.update(counts)
        self.target = {
            split: {label: shares[split] * count for label, count in total.items()}
            for split in ORDER
        }
        self.filled: dict[Split, Counter[str]] = {split: Counter() for split in ORDER}
        self.groups_left = Counter(label for counts in groups.values() for label in counts)

    def place(self, group: Counter[str]) -> Split:
        """Choose the split of the next group, given its counts by class."""
        split = min(self._allowed(group), key=lambda split: self._cost(split, group))
        self.filled[split].update(group)
        self.groups_left.subtract(dict.fromkeys(group, 1))
        return split

    def _allowed(self, group: Counter[str]) -> Sequence[Split]:
        for label in sorted(group):
            empty = [split for split in ORDER if not self.filled[split][label]]
            if empty and self.groups_left[label] <= len(empty):
                return empty
        return ORDER

    def _cost(self, split: Split, group: Counter[str]) -> float:
        filled, target = self.filled[split], self.target[split]
        return sum(
            count * (2 * (filled[label] - target[label]) + count) / target[label]
            for label, count in sorted(group.items())
        )
