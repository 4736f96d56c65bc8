"""Printing of a page: tables on a terminal, Markdown elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table as TerminalTable

from mscol_cli.commands.columns import GAP, Row, split_to_fit
from mscol_cli.commands.terminal import print_folded, print_lines, stdout, terminal_width
from mscol_cli.pages.page import Block, Listing, Page, Table, Text
from mscol_cli.system.text import visible

BORDERS = 2
"""Characters that the frame of a table adds per column, besides the gap of plain columns."""


def print_page(page: Page) -> None:
    """Print the title, texts, lists and tables of a page."""
    width = terminal_width()
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
    """Blocks and headings of all sections."""
    if page.lead:
        yield Text(page.lead)
    for section in page.sections:
        if section.heading:
            yield section.heading
        yield from section.blocks


def _print_heading(text: str) -> None:
    stdout().print(f"[bold]{escape(visible(text))}[/bold]")


def _print_table(block: Table, width: int) -> None:
    """Print a table with cells wrapped at words; split it if that is still too wide."""
    if block.caption:
        print_folded(block.caption, "")
    rows = [_cells(row) for row in (block.header, *block.rows)]
    space = width - BORDERS * len(rows[0])
    for header, *body in [rows] if _narrowest(rows) <= space else split_to_fit(rows, space):
        table = TerminalTable(*map(escape, header))
        for number, column in enumerate(table.columns):
            # On a very narrow terminal, words are folded, never truncated.
            column.overflow = "fold"
            column.justify = "right" if number else "left"
        for row in body:
            table.add_row(*map(escape, row))
        stdout().print(table)


def _narrowest(rows: Sequence[Row]) -> int:
    """Minimum width of a table: each column as wide as its longest word."""
    words = [
        max((len(word) for cell in column for word in cell.split()), default=0)
        for column in zip(*rows, strict=True)
    ]
    return sum(words) + len(GAP) * len(words)


def _cells(row: Sequence[str]) -> Row:
    """Cells without line breaks."""
    return [visible(" ".join(cell.split())) for cell in row]
