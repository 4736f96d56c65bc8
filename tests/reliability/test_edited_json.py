"""JSON that was edited by hand or by accident: no command fails with an error of Python's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.app import run as run_app
from tests.conftest import run_in
from tests.helpers.counts import UNEXPECTED, check, sample
from tests.helpers.edits import VALUES, edited, places

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]


def check_edits(
    file: Path, commands: Sequence[Sequence[object]], capsys: Capture, most: int = 20
) -> None:
    """Run commands on edits of the first line of a file: a sample, or all with MSCOL_ALL_EDITS."""
    text = file.read_text()
    first = text.splitlines()[0] if file.suffix == ".jsonl" else text
    content, rest = json.loads(first), text[len(first) :]
    edits = [(way, value) for way in places(content) for value in VALUES]
    chosen = sample(edits, most)
    wrong = []
    for way, value in chosen:
        file.write_text(json.dumps(edited(content, way, value)) + rest)
        for command in commands:
            code = run_app([*map(str, command)])
            error = capsys.readouterr().err
            if code not in range(5) or UNEXPECTED.search(error):
                wrong.append((file.name, way, str(value)[:20], command[:2], error[-200:]))
    file.write_text(text)
    check(f"edits of {file.name}", len(chosen) * len(commands), wrong, capsys)


@pytest.fixture
def vectors(trained: Path, collection: Any, tmp_path: Path) -> Path:
    clips = sorted(collection.mtat.rglob("*.mp3"))[:2]
    line = ["embed", *clips, "--model", trained, "--device", "cpu", "-o", "vectors"]
    run_in(tmp_path, line)
    return tmp_path / "vectors"


@pytest.mark.parametrize("name", ["store.json", "tracks.jsonl"])
def test_a_store(store: Path, tmp_path: Path, capsys: Capture, name: str) -> None:
    copied = tmp_path / "a.store"
    shutil.copytree(store, copied)
    commands = [["store", word, copied] for word in ("info", "ls", "manifest", "verify")]
    commands += [["pretrain", copied, "--objective", "mws", "--encoder", "small", "--dry-run"]]
    check_edits(copied / name, commands, capsys)


@pytest.mark.parametrize("name", ["run.json", "state.json", "metrics.jsonl"])
def test_a_run(trained: Path, tmp_path: Path, capsys: Capture, name: str) -> None:
    run = tmp_path / "runs" / "a"
    shutil.copytree(trained, run, symlinks=True)
    commands: list[list[object]] = [["runs", "ls", run.parent], ["runs", "show", run]]
    commands += [["runs", "compare", run, trained], ["runs", "ls", run.parent, "--json"]]
    check_edits(run / name, commands, capsys)


def test_a_run_that_is_resumed(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "a"
    shutil.copytree(trained, run, symlinks=True)
    check_edits(run / "run.json", [["pretrain", "--resume", "-o", run]], capsys, 30)


def test_a_checkpoint(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    checkpoint = tmp_path / "a"
    shutil.copytree(trained / "checkpoints" / "best", checkpoint)
    line = ["embed", tmp_path / "none.wav", "--model", checkpoint, "-o", tmp_path / "v"]
    check_edits(checkpoint / "run.json", [[*line, "--device", "cpu"]], capsys, 30)


@pytest.mark.parametrize("name", ["vectors.json", "00000.jsonl"])
def test_vectors(vectors: Path, tmp_path: Path, capsys: Capture, name: str) -> None:
    commands: list[list[object]] = [["vectors", word, vectors] for word in ("info", "ls", "verify")]
    commands += [["vectors", "export", vectors, "-o", tmp_path / "v.csv"]]
    check_edits(vectors / name, commands, capsys)
