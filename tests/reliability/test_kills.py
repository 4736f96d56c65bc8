"""A command that is killed at any change to the disk leads to the same result when run again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from mscol_cli.synthetic import Collection
from tests.helpers.counts import check
from tests.helpers.folders import write_vectors

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "processes" / "killed_at_each_change.py"
SOME, ALL = 3, 10_000
Kill = Callable[..., None]
TRAINING = ["--encoder", "small", "--batch-size", 8, "--device", "cpu", "--steps", 4]

pytestmark = [pytest.mark.slow, pytest.mark.processes]


@pytest.fixture(scope="module")
def kill_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands and the process that kills them print."""
    return tmp_path_factory.mktemp("kills") / "log"


@pytest.fixture(scope="module")
def killer(kill_log: Path) -> Iterator[subprocess.Popen[str]]:
    """The process that kills commands, for all tests of a worker."""
    with (
        kill_log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, SCRIPT],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        yield process


@pytest.fixture
def kill_each(
    killer: subprocess.Popen[str], kill_log: Path, capsys: pytest.CaptureFixture[str]
) -> Kill:
    return partial(kill_at_changes, killer, kill_log, capsys)


def kill_at_changes(
    killer: subprocess.Popen[str],
    kill_log: Path,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    arguments: Sequence[object],
    refuses_finished: bool = False,
) -> None:
    """Fail unless every kill of a command leads to the result of an undisturbed run.

    By default some changes, spread evenly, are tried; with MSCOL_ALL_EDITS all of them.
    A command that `refuses_finished` ends with 2 if the kill came after its result.
    """
    limit = ALL if os.environ.get("MSCOL_ALL_EDITS") else SOME
    request = {"folder": str(folder), "limit": limit, "arguments": [*map(str, arguments)]}
    assert killer.stdin
    assert killer.stdout
    killer.stdin.write(json.dumps(request) + "\n")
    killer.stdin.flush()
    answer = killer.stdout.readline()
    assert answer, kill_log.read_text()
    result = json.loads(answer)
    assert result["tried"] > 1
    allowed = [["exit code 0", "exit code 2"]] if refuses_finished else []
    different = {at: names for at, names in result["different"].items() if names not in allowed}
    wrong = sorted(different.items())
    check(f"kills of {arguments[0]}", result["tried"], wrong, capsys)


def test_pretrain(kill_each: Kill, store: Path, tmp_path: Path) -> None:
    options = [*TRAINING, "--save-every", 1, "--keep-last", 2, "--resume", "-o", "out/run"]
    kill_each(tmp_path / "out", ["pretrain", store, "--objective", "mws", *options])


def songs(collection: Collection) -> list[Path]:
    return sorted(path for path in collection.mtat.rglob("*") if path.suffix in (".mp3", ".wav"))[
        :3
    ]


def test_embed(kill_each: Kill, collection: Collection, trained: Path, tmp_path: Path) -> None:
    options = ["--model", trained, "--device", "cpu", "-o", "out/vectors"]
    kill_each(tmp_path / "out", ["embed", *songs(collection), *options])


@pytest.mark.parametrize("suffix", ["npz", "csv"])
def test_embed_to_a_file(
    kill_each: Kill, collection: Collection, trained: Path, tmp_path: Path, suffix: str
) -> None:
    options = ["--model", trained, "--device", "cpu", "-o", f"out/vectors.{suffix}"]
    kill_each(tmp_path / "out", ["embed", *songs(collection), *options])


def test_store_export(kill_each: Kill, store: Path, tmp_path: Path) -> None:
    options = ["--all", "--source", "vocals", "-o", "out/audio"]
    kill_each(tmp_path / "out", ["store", "export", store, *options])


def test_map(kill_each: Kill, tmp_path: Path) -> None:
    rows = {f"{number}.wav": [float(number), 1.0, 2.0] for number in range(4)}
    write_vectors(tmp_path / "vectors", rows)
    kill_each(tmp_path / "out", ["map", "vectors", "--clusters", 2, "-o", "out/map.html"])


def test_plot(kill_each: Kill, trained: Path, tmp_path: Path) -> None:
    kill_each(tmp_path / "out", ["runs", "plot", trained, "-o", "out/curves.png"])


def test_push_to_a_folder(kill_each: Kill, trained: Path, tmp_path: Path) -> None:
    options = ["--license", "mit", "--dry-run", "-o", "out/model"]
    kill_each(tmp_path / "out", ["push", trained, "hf:org/name", *options], refuses_finished=True)
