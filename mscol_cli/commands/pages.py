"""A page on stdout: as tables on a terminal, as Markdown elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table as TerminalTable

from mscol_cli.commands.columns import GAP, Row, split_to_fit
from mscol_cli.commands.terminal import print_folded, print_lines, room, stdout
from mscol_cli.pages.page import Block, Listing, Page, Table, Text

BORDERS = 2
"""Characters that a table's frame adds beside each column, besides the gap of plain columns."""


def print_page(page: Page) -> None:
    """Print the title, texts, lists and tables of a page."""
    width = room()
    if width is None:
        from mscol_cli.pages.render import page_markdown

        print_lines(page_markdown(page).rstrip())
        return
    _print_heading(page.title)
    for block in _blocks(page):
        print_lines("")
        if isinstance(block, str):
            _print_heading(block)
        elif isinstance(block, Text):
            print_folded(block.text)
        elif isinstance(block, Listing):
            print_folded(f"{block.caption}:", "", *(f"- {line}" for line in block.lines))
        elif isinstance(block, Table):
            _print_table(block, width)


def _blocks(page: Page) -> Iterator[Block | str]:
    """The blocks of all sections, and the headings of these."""
    if page.lead:
        yield Text(page.lead)
    for section in page.sections:
        if section.heading:
            yield section.heading
        yield from section.blocks


def _print_heading(text: str) -> None:
    stdout().print(f"[bold]{escape(text)}[/bold]")


def _print_table(block: Table, width: int) -> None:
    """One table whose cells break at words, or several with the same first column where that is
    still too wide."""
    if block.caption:
        print_folded(block.caption, "")
    rows = [_cells(row) for row in (block.header, *block.rows)]
    space = width - BORDERS * len(rows[0])
    for header, *body in [rows] if _narrowest(rows) <= space else split_to_fit(rows, space):
        table = TerminalTable(*map(escape, header))
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


def _cells(row: Sequence[str]) -> Row:
    """Each cell in one line."""
    return [" ".join(cell.split()) for cell in row]
