"""Text from data, such as names of files, classes and runs or answers of servers, on a terminal and
in tables."""

from __future__ import annotations

import re

from mscol_cli.system.files import escaped

_HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
"""Control characters except tabulator and line feed, and characters that are invisible or change
the direction of writing."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets evaluate."""


def visible(text: str) -> str:
    r"""Escape what a terminal would obey or hide, such as `\x1b` and `\u202e`."""
    return _HIDDEN.sub(lambda match: repr(match[0])[1:-1], escaped(text))


def first_line(error: BaseException) -> str:
    """First line of the text of an error, without a full stop; its class if it has no text."""
    lines = (line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip())
    return next(lines, type(error).__name__)


def csv_cell(text: str) -> str:
    """A text as a cell of a CSV file. Spreadsheets evaluate texts that begin with `=`, `+`, `-` or
    `@`: these get a leading apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def from_csv_cell(cell: str) -> str:
    """The text of a cell of `csv_cell`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
