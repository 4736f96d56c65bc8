"""Plain text in columns, made for the width of a terminal where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

Row = Sequence[str]
GAP = "  "
NARROW = 16
"""Characters that a column keeps in which cells are folded."""


def aligned(rows: Sequence[Row]) -> list[str]:
    """A line for each row, its cells below each other; never cut, as a program may read them."""
    widths = _widths(rows)
    lines = (zip(row, widths, strict=True) for row in rows)
    return [GAP.join(f"{cell:{width}}" for cell, width in line).rstrip() for line in lines]


def fold_cells(rows: Sequence[Row], room: int | None) -> list[Row]:
    """Wrap long cells, such as paths, into rows below, so that columns stay side by side.

    Args:
        rows: The table.
        room: Characters of a line; None leaves the rows unchanged.
    """
    if room is None:
        return list(rows)
    first, *others = _widths(rows)
    share = (room - first) // max(len(others), 1) - len(GAP)
    width = max(share, NARROW)
    return [line for row in rows for line in _fold(row, width)]


def _fold(row: Row, width: int) -> Iterator[Row]:
    columns = [[row[0]], *(_pieces(cell, width) for cell in row[1:])]
    yield from zip_longest(*columns, fillvalue="")


def _pieces(cell: str, width: int) -> list[str]:
    """A cell in pieces, which end behind a slash, a comma or a space where they can."""
    pieces = [""]
    for word in re.findall(r"[^/, ]*[/, ]?", cell):
        if len(pieces[-1]) + len(word.rstrip()) > width and pieces[-1]:
            pieces.append("")
        while len(word.rstrip()) > width:
            pieces[-1], word = word[:width], word[width:]
            pieces.append("")
        pieces[-1] += word
    return pieces


def split_to_fit(rows: Sequence[Row], room: int | None) -> list[list[Row]]:
    """Tables that are no wider than the room, or have one column beside their first, which all of
    them have; a single one where there is room enough, or no limit."""
    first, *others = _widths(rows)
    parts: list[list[int]] = [[]]
    used = first
    for place, width in enumerate(others, 1):
        if room is not None and parts[-1] and used + len(GAP) + width > room:
            parts.append([])
            used = first
        parts[-1].append(place)
        used += len(GAP) + width
    return [[[row[0], *(row[place] for place in part)] for row in rows] for part in parts]


def wrapped(parts: Sequence[str], room: int, indent: str) -> Iterator[str]:
    """Parts one after the other, with commas, in lines that break between parts."""
    line = ""
    for part in parts:
        longer = f"{line}, {part}" if line else f"{indent}{part}"
        if line and len(longer) > room - 1:
            yield f"{line},"
            longer = f"{indent}{part}"
        line = longer
    yield line


def _widths(rows: Sequence[Row]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
