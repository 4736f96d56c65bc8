"""Groups of clips, each with a colour and a shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mscol_cli.pages.curves import PALETTE
from mscol_cli.system.files import escaped

MAX_GROUPS = 20
"""Maximum number of named groups; smaller groups are joined."""
SHAPES = 7
"""Number of shapes that the page draws."""
OTHER_COLOUR, OTHER_SHAPE = "#9a9a9a", 0
RAMP = ("#00224E", "#35456C", "#666970", "#948E77", "#C8B866", "#FEE838")
"""Colours of increasing numbers, from the colour map cividis, which the colour-blind see alike."""
NO_VALUE = "no value"


@dataclass(frozen=True)
class Group:
    """A group of clips.

    Attributes:
        name: Name in the legend.
        color: Colour as `#rrggbb`.
        shape: Number of the shape.
        count: Number of clips.
    """

    name: str
    color: str
    shape: int
    count: int


@dataclass(frozen=True)
class Colouring:
    """Groups of all clips.

    Attributes:
        name: Name in the page.
        groups: Groups in the order of the legend.
        members: (clips,) number of each clip's group.
    """

    name: str
    groups: Sequence[Group]
    members: NDArray[np.uint8]


def by_category(name: str, labels: Sequence[str]) -> Colouring:
    """Group clips by label, the largest group first. Small groups are joined if there are many.

    Args:
        name: Name of the colouring.
        labels: Label of each clip; empty for a clip without one.
    """
    counts = Counter(label for label in labels if label)
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    named = ordered if len(ordered) <= MAX_GROUPS else ordered[: MAX_GROUPS - 1]
    number = {label: row for row, label in enumerate(named)}
    rest = len(named)
    members = [number.get(label, rest if label else rest + 1) for label in labels]
    styles = [(label, *_style(row)) for row, label in enumerate(named)]
    styles.append((f"{len(ordered) - rest} smaller groups", OTHER_COLOUR, OTHER_SHAPE))
    styles.append((NO_VALUE, OTHER_COLOUR, OTHER_SHAPE))
    return _colouring(name, styles, members)


def by_number(name: str, values: Sequence[float | None]) -> Colouring:
    """Group clips into ranges of a number with about equally many clips each.

    Args:
        name: Name of the colouring.
        values: Number of each clip; None for a clip without one.
    """
    numbers = np.array([np.nan if value is None else value for value in values])
    known = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, len(RAMP) + 1)))
    ranges = max(len(edges) - 1, 1)
    members = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, ranges - 1)
    members[~np.isfinite(numbers)] = ranges
    colours = np.linspace(0, len(RAMP) - 1, ranges).round().astype(int)
    styles = [
        (f"{edges[row]:.4g} to {edges[min(row + 1, len(edges) - 1)]:.4g}", RAMP[colour], row)
        for row, colour in enumerate(colours)
    ]
    styles.append((NO_VALUE, OTHER_COLOUR, OTHER_SHAPE))
    return _colouring(name, styles, members.tolist())


def by_folder(ids: Sequence[str]) -> Colouring:
    """Group clips by the first folder in which their ids differ."""
    folders = [name.split("/")[:-1] for name in ids]
    shared = 0
    while len({tuple(parts[: shared + 1]) for parts in folders}) == 1 and folders[0][shared:]:
        shared += 1
    return by_category("folder", ["/".join(parts[: shared + 1]) or "(top)" for parts in folders])


def by_cluster(clusters: Iterable[int]) -> Colouring:
    """Group clips by the number of their cluster."""
    return by_category("cluster", [f"cluster {number + 1}" for number in clusters])


def _style(row: int) -> tuple[str, int]:
    """Colour and shape of a group; no two groups share both."""
    return PALETTE[row % len(PALETTE)], (row + row // len(PALETTE)) % SHAPES


def _colouring(
    name: str, styles: Sequence[tuple[str, str, int]], members: Sequence[int]
) -> Colouring:
    """A colouring without empty groups."""
    counts: Mapping[int, int] = Counter(members)
    used = [row for row in range(len(styles)) if counts.get(row)]
    groups = [
        Group(escaped(label), color, shape, counts[row])
        for row in used
        for label, color, shape in [styles[row]]
    ]
    number = {row: new for new, row in enumerate(used)}
    return Colouring(
        escaped(name), groups, np.array([number[row] for row in members], dtype=np.uint8)
    )
