"""Every kind of audio file, whole and damaged: what must come out of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mscol_cli.audio import read_audio
from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from mscol_cli.errors import BadInputError
from tests.audio.table.built import cells, file_name, write_cell
from tests.audio.table.impostors import IMPOSTORS
from tests.audio.table.judge import complaint
from tests.audio.table.outcome import outcome
from tests.audio.table.rows import Row


@pytest.mark.parametrize(
    ("row", "column", "letter"),
    [pytest.param(*cell, id=file_name(cell[0], cell[1])) for cell in cells()],
)
def test_a_file_gives_what_the_table_says(
    tmp_path: Path, row: Row, column: str, letter: str
) -> None:
    path = write_cell(tmp_path, row, column)
    result = outcome(path, row.seconds)
    assert complaint(letter, row, column, result) is None
    if result.reason is not None:
        assert "\n" not in result.reason
        assert result.reason.startswith(f"{path}: ")


def test_rows_have_names_of_their_own() -> None:
    names = [file_name(row, column) for row, column, _ in cells()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES))
@pytest.mark.parametrize("kind", IMPOSTORS)
def test_what_is_not_audio_is_refused(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(IMPOSTORS[kind]())
    with pytest.raises(BadInputError, match="0 bytes" if kind == "empty" else "not audio"):
        read_audio(path)
