"""Files of the table in one folder: the good are used, the bad are named, and none stops it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.audio.table.built import cells, file_name, write_cell
from tests.audio.table.judge import VERDICTS
from tests.audio.table.markdown import page

Command = Callable[..., int]
DOCS = Path(__file__).parents[3] / "docs" / "formats.md"
EVERY = 1 if "MSCOL_ALL_EDITS" in os.environ else 3
"""One of so many cells is tried: files of every row, and of every column."""
CELLS = list(cells())[::EVERY]
STATUS = {file_name(row, column): VERDICTS[letter].status for row, column, letter in CELLS}
"""By file name, as a store's manifest should have it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the file of each cell."""
    path = tmp_path_factory.mktemp("table") / "music"
    path.mkdir()
    for row, column, _ in CELLS:
        write_cell(path, row, column)
    return path


def of_status(names: Iterable[str], status: str) -> set[str]:
    return {name for name in names if STATUS[name] == status}


def named(err: str, word: str) -> set[str]:
    """The files in those warnings that begin with a word."""
    lines = [line for line in err.splitlines() if line.startswith(f"warning: {word} ")]
    return {name for name in STATUS if any(name in line for line in lines)}


@pytest.mark.slow
def test_separate_uses_every_good_file_and_names_every_bad_one(
    mscol: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("separate", folder, "--separator", "none", "-o", "all.store") == 3
    err = capsys.readouterr().err
    assert named(err, "skipped") == of_status(STATUS, "failed")
    assert named(err, "short") == of_status(STATUS, "short")
    assert mscol("store", "manifest", "all.store", "--json") == 0
    lines = json.loads(capsys.readouterr().out)["items"]
    assert {line["file"]: line["status"] for line in lines} == STATUS


@pytest.mark.slow
def test_embed_uses_every_good_file_and_names_every_bad_one(
    mscol: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = sorted(STATUS)[::7]
    options = ["--model", "untrained", "--encoder", "small", "--device", "cpu", "-o", "v.npz"]
    assert mscol("embed", *(folder / name for name in sample), *options) == 3
    err = capsys.readouterr().err
    bad = of_status(sample, "failed")
    assert named(err, "skipped") == bad
    assert named(err, "short") == of_status(sample, "short")
    assert set(np.load("v.npz")["ids"].tolist()) == set(sample) - bad


def test_the_documented_table_is_current() -> None:
    assert DOCS.read_text(encoding="utf-8") == page()
