"""Tables of metadata: rows with named columns and strictly parsed cells."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from mscol_cli.api import BadInputError, MissingDataError
from mscol_tasks.files import not_utf8

T = TypeVar("T")
# Biographies in metadata exceed the default limit of csv.
MAX_CELL = 1 << 24
_WHOLE = re.compile(r"([0-9]{1,18})(\.0*)?")
_FLAGS = {"0": False, "1": True}
_DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons"}


class Row:
    """A row of a table, with cells by column name."""

    __slots__ = ("_cells", "_columns", "line", "path")

    def __init__(
        self, path: Path, line: int, columns: Mapping[str, int], cells: Sequence[str]
    ) -> None:
        self.path = path
        self.line = line
        self._columns = columns
        self._cells = cells

    def __contains__(self, column: str) -> bool:
        return column in self._columns

    def text(self, column: str) -> str:
        """The text of a cell, without surrounding blanks."""
        return self._cells[self._columns[column]].strip()

    def flag(self, column: str) -> bool:
        """The value of a cell with 0 or 1, also as `1.0`. Raises BadInputError."""
        cell = self._cells[self._columns[column]]
        known = _FLAGS.get(cell)
        return self._parsed_flag(column) if known is None else known

    def whole(self, column: str) -> int:
        """The value of a cell with a whole number, also as `2.0`. Raises BadInputError."""
        number = whole_number(self.text(column))
        if number is None:
            raise self.problem(column, f"'{self.text(column)}' is not a whole number")
        return number

    def problem(self, column: str, what: str) -> BadInputError:
        """Build the error for a cell, with its location."""
        return BadInputError(f"{self.path}, line {self.line}, column '{column}': {what}.")

    def _parsed_flag(self, column: str) -> bool:
        try:
            value = float(self.text(column))
        except ValueError:
            value = -1.0
        if value not in (0.0, 1.0):
            raise self.problem(column, f"'{self.text(column)}' is neither 0 nor 1")
        return value == 1.0


def whole_number(text: str) -> int | None:
    """Parse a whole number such as `2` or `2.0`; None for other text."""
    match = _WHOLE.fullmatch(text)
    return int(match[1]) if match else None


def read_table(
    path: Path, delimiter: str, required: Sequence[str], header_rows: int = 1, index: str = ""
) -> tuple[Mapping[str, int], Iterator[Row]]:
    """Read a delimited text file in UTF-8, with or without a byte order mark.

    Blank lines and rows of empty cells are skipped.

    Args:
        path: The file.
        delimiter: Delimiter of cells, which may be quoted.
        required: Required columns.
        header_rows: Number of header rows; names of a column are joined by dots, as in `set.split`.
        index: Name of the first column if the header leaves it empty. A row below the header with
            this name, as written by pandas for an index, is part of the header.

    Returns:
        The position of each named column, and the rows.

    Raises:
        MissingDataError: The file or a column is missing.
        BadInputError: The file is not such a table, or a row has more or fewer cells.
    """
    _check_delimiter(path, delimiter)
    lines = _read_lines(path, delimiter)
    header = [cells for _, (_, cells) in zip(range(header_rows), lines, strict=False)]
    columns = _named_columns(path, header, required, index)
    width = max((len(cells) for cells in header), default=0)
    return columns, _rows(path, lines, columns, width, index)


def distinct(records: Iterable[tuple[Row, str, T]], column: str) -> Iterator[T]:
    """Yield records without exact duplicates.

    Args:
        records: Rows, ids and records.
        column: Column of the id.

    Raises:
        BadInputError: Two rows have the same id, but differ.
    """
    first: dict[str, tuple[int, T]] = {}
    for row, name, record in records:
        line, known = first.setdefault(name, (row.line, record))
        if line == row.line:
            yield record
        elif known != record:
            raise row.problem(column, f"{name} is also in line {line}, with other values")


def _read_lines(path: Path, delimiter: str, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield non-blank rows with the number of their first line."""
    csv.field_size_limit(MAX_CELL)
    line = 1
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            # Strict: otherwise an unclosed quote would turn the rest of the file into one cell.
            reader = csv.reader(file, delimiter=delimiter, strict=strict)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield line, cells
                line = reader.line_num + 1
    except (FileNotFoundError, NotADirectoryError):
        raise MissingDataError(f"{path} is missing: unpack the data set's metadata.") from None
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except csv.Error as error:
        raise BadInputError(
            f"{path}, line {line}: not a row of a table ({error}): unpack the file again."
        ) from error


def _check_delimiter(path: Path, delimiter: str) -> None:
    """Raise BadInputError for a header with another delimiter, as a spreadsheet may save it."""
    # Quoted cells with another delimiter between them are an error of a strict reader.
    line, cells = next(_read_lines(path, delimiter, strict=False), (1, []))
    if len(cells) != 1:
        return
    for other, name in _DELIMITERS.items():
        if other in cells[0]:
            raise BadInputError(
                f"{path}, line {line}: columns are separated by {name}, not by"
                f" {_DELIMITERS[delimiter]}: unpack the original file, or save it with"
                f" {_DELIMITERS[delimiter]}."
            )


def _named_columns(
    path: Path, header: Sequence[Sequence[str]], required: Sequence[str], index: str
) -> Mapping[str, int]:
    names = [
        ".".join(part.strip() for part in parts if part.strip())
        for parts in zip_longest(*header, fillvalue="")
    ]
    if names and not names[0]:
        names[0] = index
    if absent := [name for name in required if name not in names]:
        raise MissingDataError(
            f"{path} has no columns {', '.join(absent)}: unpack the original file."
        )
    if twice := [name for name, count in Counter(names).items() if name and count > 1]:
        raise BadInputError(f"{path} has several columns named '{twice[0]}': keep one.")
    return {name: column for column, name in enumerate(names) if name}


def _rows(
    path: Path,
    lines: Iterator[tuple[int, list[str]]],
    columns: Mapping[str, int],
    width: int,
    index: str,
) -> Iterator[Row]:
    for number, (line, cells) in enumerate(lines):
        if len(cells) != width:
            raise BadInputError(
                f"{path}, line {line} has {len(cells)} columns, not {width}: unpack the file again."
            )
        if number or not index or cells[columns[index]].strip() != index:
            yield Row(path, line, columns, cells)
