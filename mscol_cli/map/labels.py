"""Labels of clips in CSV files, such as those of `mscol tag`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.map.colouring import Colouring, by_category, by_number
from mscol_cli.system.text import from_csv_cell

ID = "id"
MAX_NUMERIC_CATEGORIES = 8
"""A column with more different numbers is coloured by ranges."""


def read_colouring(text: str, ids: Sequence[str]) -> Colouring:
    """Read a colouring from `FILE` or `FILE:COLUMN`, a CSV file with a column `id`.

    Without a column it is the first one with text. If all are numbers, such as a score per tag, it
    is the name of the column with the highest score.

    Args:
        text: The file, and perhaps a column.
        ids: Ids of the clips.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: The file is not such a CSV file, lacks the column, or names none of the clips.
    """
    path, column = _split(text)
    rows = _read(path)
    known = [rows.get(name, {}) for name in ids]
    if not any(known):
        first = next(iter(rows), "none")
        raise UsageError(
            f"{path}: no row has the id of a clip (first id in the file: {first}, in the folder of"
            f" vectors: {ids[0]}): use a CSV of the same files."
        )
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    if column is not None and column not in columns:
        raise UsageError(f"{path} has no column {column!r}: it has {', '.join(columns) or 'none'}.")
    if column is None:
        column = next((name for name in columns if not _is_numeric(known, name)), None)
    if column is None:
        return by_category(path.stem, [_highest(row) for row in known])
    return _by_column(column, [row.get(column, "") for row in known])


def _split(text: str) -> tuple[Path, str | None]:
    path = Path(text)
    file, separator, column = text.rpartition(":")
    return (path, None) if path.exists() or not separator or not file else (Path(file), column)


def _read(path: Path) -> dict[str, Mapping[str, str]]:
    """Rows by id, without the column `id`; the first row of an id counts."""
    rows: dict[str, Mapping[str, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file, restval="")
            if ID not in (reader.fieldnames or ()):
                raise UsageError(
                    f"{path} has no column 'id', separated by commas: it has"
                    f" {', '.join(reader.fieldnames or ()) or 'none'}."
                )
            for row in reader:
                cells = {name: cell.strip() for name, cell in row.items() if name and name != ID}
                rows.setdefault(from_csv_cell(row[ID]), cells)
    except FileNotFoundError:
        raise MissingDataError(
            f"{path}: no such file; --color takes folder, cluster, or a CSV file."
        ) from None
    except (OSError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV ({error}): use another file.") from error
    return rows


def _by_column(column: str, cells: Sequence[str]) -> Colouring:
    values = [_number(cell) for cell in cells]
    numeric = all(value is not None for value, cell in zip(values, cells, strict=True) if cell)
    if numeric and len(set(cells)) > MAX_NUMERIC_CATEGORIES:
        return by_number(column, values)
    return by_category(column, cells)


def _is_numeric(rows: Sequence[Mapping[str, str]], column: str) -> bool:
    return all(_number(row[column]) is not None for row in rows if row.get(column))


def _highest(row: Mapping[str, str]) -> str:
    scores = {name: _number(cell) for name, cell in row.items()}
    known = {name: score for name, score in scores.items() if score is not None}
    return max(known, key=lambda name: known[name], default="")


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
