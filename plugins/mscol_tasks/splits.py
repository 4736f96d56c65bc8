"""A stratified split of clips that keeps groups together and depends on names alone."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.api import Split

# In this order a class with too few groups for all three splits gets into them.
ORDER: tuple[Split, ...] = ("train", "test", "valid")


@dataclass(frozen=True)
class Clip:
    """A clip to place.

    Attributes:
        id: Unique name.
        path: The audio file.
        label: Class name.
        split: Where it already belongs, if anywhere.
    """

    id: str
    path: Path
    label: str
    split: Split | None = None


def assign_splits(
    clips: Sequence[Clip], valid: float, test: float, group: re.Pattern[str] | None, seed: int
) -> list[Split]:
    """Place every clip that has no place yet.

    The largest groups are placed first, each where it brings the splits' class counts nearest to
    their targets (the least sum of squared deviations, each over its target), but in time for
    every class that has three groups or more to be in all three splits.

    Args:
        clips: Any order; the result does not depend on it.
        valid: Share of the clips for validation, above 0.
        test: Share of the clips for testing, above 0.
        group: Files whose names are alike before its first match are one group, over all
            classes; None makes each clip its own group.
        seed: Changes the order in which groups of one size are placed.

    Returns:
        The split of each clip.
    """
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.split is None:
            groups[_group(clip, group)].append(clip)
    order = sorted(groups, key=lambda name: (-len(groups[name]), _digest(name, seed)))
    counts = {name: Counter(clip.label for clip in groups[name]) for name in order}
    placed = _Placement(counts, {"train": 1 - valid - test, "valid": valid, "test": test})
    split_of = {name: placed.place(counts[name]) for name in order}
    return [clip.split or split_of[_group(clip, group)] for clip in clips]


def _group(clip: Clip, pattern: re.Pattern[str] | None) -> str:
    return pattern.split(clip.path.name, maxsplit=1)[0] if pattern else clip.id


def _digest(name: str, seed: int) -> bytes:
    # A name that is not UTF-8 counts by its bytes.
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


class _Placement:
    """How full the splits are while groups are being placed."""

    def __init__(self, groups: dict[str, Counter[str]], shares: dict[Split, float]) -> None:
        total: Counter[str] = sum(groups.values(), Counter())
        self.target = {
            split: {label: shares[split] * count for label, count in total.items()}
            for split in ORDER
        }
        self.filled: dict[Split, Counter[str]] = {split: Counter() for split in ORDER}
        self.groups_left = Counter(label for counts in groups.values() for label in counts)

    def place(self, group: Counter[str]) -> Split:
        """Choose the split of the next group, of these counts by class."""
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
