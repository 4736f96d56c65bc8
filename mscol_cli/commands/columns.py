"""Plain text in columns, fitted to the width of a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

Row = Sequence[str]
GAP = "  "
NARROW = 16
"""Minimum width of a column with folded cells."""


def aligned(rows: Sequence[Row]) -> list[str]:
    """Format rows as lines with aligned cells, never truncated, so that scripts can read them."""
    widths = _widths(rows)
    lines = (zip(row, widths, strict=True) for row in rows)
    return [GAP.join(f"{cell:{width}}" for cell, width in line).rstrip() for line in lines]


def fold_cells(rows: Sequence[Row], max_width: int | None) -> list[Row]:
    """Wrap long cells, such as paths, into additional rows.

    Args:
        rows: The table.
        max_width: Characters per line; None leaves the rows unchanged.
    """
    if max_width is None:
        return list(rows)
    first, *others = _widths(rows)
    share = (max_width - first) // max(len(others), 1) - len(GAP)
    width = max(share, NARROW)
    return [
        line
        for label, *cells in rows
        for line in zip_longest([label], *(_pieces(cell, width) for cell in cells), fillvalue="")
    ]


def _pieces(cell: str, width: int) -> list[str]:
    """Split a cell, if possible after a slash, a comma or a space."""
    pieces = [""]
    for word in re.findall(r"[^/, ]*[/, ]?", cell):
        if len(pieces[-1]) + len(word.rstrip()) > width and pieces[-1]:
            pieces.append("")
        while len(word.rstrip()) > width:
            pieces[-1], word = word[:width], word[width:]
            pieces.append("")
        pieces[-1] += word
    return pieces


def split_to_fit(rows: Sequence[Row], max_width: int | None) -> list[list[Row]]:
    """Split a wide table into tables that fit `max_width`, each with the first column and at least
    one other; None for no limit."""
    first, *others = _widths(rows)
    parts: list[list[int]] = [[]]
    used = first
    for index, width in enumerate(others, 1):
        if max_width is not None and parts[-1] and used + len(GAP) + width > max_width:
            parts.append([])
            used = first
        parts[-1].append(index)
        used += len(GAP) + width
    return [[[row[0], *(row[index] for index in part)] for row in rows] for part in parts]


def wrapped(parts: Sequence[str], max_width: int, indent: str) -> Iterator[str]:
    """Join parts with commas, in lines that break between parts."""
    line = ""
    for part in parts:
        longer = f"{line}, {part}" if line else f"{indent}{part}"
        if line and len(longer) > max_width - 1:
            yield f"{line},"
            longer = f"{indent}{part}"
        line = longer
    yield line


def _widths(rows: Sequence[Row]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
