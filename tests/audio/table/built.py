"""The files of the table on disk, built once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.audio.table.columns import COLUMNS
from tests.audio.table.rows import ROWS, Row

Cell = tuple[Row, str, str]
"""A row, a column, and the letter of the table."""


def cells() -> Iterator[Cell]:
    """Every cell of the table."""
    for row in ROWS:
        for column, letter in zip(COLUMNS, row.cells, strict=True):
            yield row, column, letter


def file_name(row: Row, column: str) -> str:
    """The name of a cell's file."""
    return f"{_slug(row.name)}--{_slug(column)}{row.suffix}"


def write_cell(folder: Path, row: Row, column: str) -> Path:
    """Write the file of one cell."""
    path = folder / file_name(row, column)
    path.write_bytes(COLUMNS[column](_content(row), row.header))
    return path


@cache
def _content(row: Row) -> bytes:
    return row.build()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("%", "percent")).strip("-")
