"""All files of the table in one folder: the good are used, the bad are named, and none stops it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.audio_table.built import cells, file_name, write_cell
from tests.audio_table.judge import VERDICTS
from tests.audio_table.markdown import page

Command = Callable[..., int]
DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the file of every cell."""
    path = tmp_path_factory.mktemp("table") / "music"
    path.mkdir()
    for row, column, _ in cells():
        write_cell(path, row, column)
    return path


def expected() -> dict[str, str]:
    """Status by file name."""
    return {file_name(row, column): VERDICTS[letter].status for row, column, letter in cells()}


def test_separate_takes_every_good_file_and_names_every_bad_one(
    mscol: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("separate", folder, "--separator", "none", "-o", "all.store") == 3
    err = capsys.readouterr().err
    assert mscol("store", "manifest", "all.store", "--json") == 0
    lines = json.loads(capsys.readouterr().out)
    assert {line["file"]: line["status"] for line in lines} == expected()
    assert [
        name for name, status in expected().items() if (name in err) != (status == "failed")
    ] == []


def test_embed_takes_every_good_file_and_names_every_bad_one(
    mscol: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = sorted(expected())[::20]
    options = ["--model", "untrained", "--encoder", "small", "--device", "cpu", "-o", "v.npz"]
    assert mscol("embed", *(folder / name for name in sample), *options) == 3
    err = capsys.readouterr().err
    good = {name for name in sample if expected()[name] != "failed"}
    assert set(np.load("v.npz")["ids"].tolist()) == good
    assert {name for name in sample if name in err} == set(sample) - good


def test_the_documented_table_is_current() -> None:
    assert DOCS.read_text(encoding="utf-8") == page()
