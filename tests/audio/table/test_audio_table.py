"""Every kind of audio file, whole and damaged: what must come out of each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mscol_cli.audio import read_audio
from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from mscol_cli.errors import BadInputError
from tests.audio.table.built import cells, file_name, write_cell
from tests.audio.table.columns import COLUMNS
from tests.audio.table.impostors import IMPOSTORS
from tests.audio.table.judge import complaint
from tests.audio.table.outcome import outcome
from tests.audio.table.rows import ROWS, Row


def slow(row: Row) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if row.seconds > 20 else []


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=slow(row)) for row in ROWS])
def test_files_of_a_row_give_what_the_table_says(tmp_path: Path, row: Row) -> None:
    wrong = {}
    for column, letter in zip(COLUMNS, row.cells, strict=True):
        path = write_cell(tmp_path, row, column)
        result = outcome(path, row.seconds)
        if problem := complaint(letter, row, column, result):
            wrong[column] = problem
        elif result.reason is not None and not re.fullmatch(
            rf"{re.escape(str(path))}: .*", result.reason
        ):
            wrong[column] = f"is not one line that begins with the file: {result.reason!r}"
    assert wrong == {}


def test_rows_have_names_of_their_own() -> None:
    names = [file_name(row, column) for row, column, _ in cells()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_what_is_not_audio_is_refused_whatever_its_suffix(tmp_path: Path, kind: str) -> None:
    content, reason = IMPOSTORS[kind](), "0 bytes" if kind == "empty" else "not audio"
    for suffix in sorted(AUDIO_SUFFIXES):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        with pytest.raises(BadInputError) as refused:
            read_audio(path)
        assert re.search(rf"a{re.escape(suffix)}\b.*{reason}", str(refused.value))
