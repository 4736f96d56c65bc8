"""A Markdown page of mscol's own on stdout: as tables on a terminal, as it is elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from mscol_cli.commands.columns import GAP, Row, split_to_fit
from mscol_cli.commands.terminal import print_folded, print_lines, room, stdout

RULE = re.compile(r":?-+:?")
BORDERS = 2
"""Characters that a table's frame adds beside each column, besides the gap of plain columns."""


def print_page(markdown: str) -> None:
    """Print headings, paragraphs, lists and tables as `mscol_cli.pages` writes them."""
    width = room()
    if width is None:
        print_lines(markdown.rstrip())
        return
    for number, block in enumerate(markdown.rstrip().split("\n\n")):
        if number:
            print_lines("")
        if block.startswith("| "):
            _print_table(block, width)
        elif block.startswith("# "):
            stdout().print(f"[bold]{escape(_unescaped(block[2:]))}[/bold]")
        else:
            print_folded(*map(_unescaped, block.splitlines()))


def _print_table(block: str, width: int) -> None:
    """One table whose cells break at words, or several with the same first column where that is
    still too wide."""
    rows = [_cells(line) for line in block.splitlines()]
    rows = [row for row in rows if not all(map(RULE.fullmatch, row))]
    space = width - BORDERS * len(rows[0])
    for header, *body in [rows] if _narrowest(rows) <= space else split_to_fit(rows, space):
        table = Table(*map(escape, header))
        for number, column in enumerate(table.columns):
            # Folded where the terminal is very narrow, never cut off.
            column.overflow = "fold"
            column.justify = "right" if number else "left"
        for row in body:
            table.add_row(*map(escape, row))
        stdout().print(table)


def _narrowest(rows: Sequence[Row]) -> int:
    """Characters of a table whose columns are as wide as their longest words."""
    words = [
        max((len(word) for cell in column for word in cell.split()), default=0)
        for column in zip(*rows, strict=True)
    ]
    return sum(words) + len(GAP) * len(words)


def _cells(line: str) -> Row:
    return [_unescaped(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([|<])", r"\1", text)
