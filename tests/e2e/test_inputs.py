"""Bad input through the command line: one line that names it, the exit code, the rest done."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.synthetic import Collection
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions


def _truncated(path: Path) -> None:
    write_audio(path, tones(3.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _nan(path: Path) -> None:
    samples = tones(3.0)
    samples[0, 100] = np.nan
    write_audio(path, samples)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "zero bytes": (lambda path: path.write_bytes(b""), "is empty"),
    "no samples": (lambda path: write_audio(path, tones(0.0)), "no samples"),
    "truncated": (_truncated, "truncated"),
    "not audio": (lambda path: path.write_text("These are words. " * 100), "not audio"),
    "NaN": (_nan, "NaN"),
    "short": (lambda path: write_audio(path, tones(0.4)), "0.40"),
}
GOOD = {
    "mono.wav": (16_000, 1),
    "six.wav": (44_100, 6),
    "low.wav": (8_000, 1),
    "high.wav": (96_000, 2),
}


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with good files of several rates and channel counts."""
    for name, (rate, channels) in GOOD.items():
        write_audio(tmp_path / "music" / name, tones(2.5, rate, channels), rate)
    return tmp_path / "music"


def commands(trained: Path) -> dict[str, list[object]]:
    return {
        "separate": ["separate", "music", "--separator", "none", "-o", "out.store"],
        "embed": ["embed", "music", "--model", trained, "-o", "out.npz"],
    }


@pytest.mark.parametrize("command", ["separate", "embed"])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_named_and_the_rest_done(
    mscol: Command,
    music: Path,
    trained: Path,
    command: str,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, message = BAD[kind]
    make(music / "bad.wav")
    assert mscol(*commands(trained)[command], "--json") == 3
    captured = capsys.readouterr()
    warnings = [line for line in captured.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "bad.wav" in warnings[0]
    assert message in warnings[0]
    assert captured.err.splitlines()[-1].startswith("error: ")
    result = json.loads(captured.out)
    assert result["tracks" if command == "separate" else "clips"] == len(GOOD)
    assert len(result["failures"]) == 1


@pytest.mark.parametrize("command", ["separate", "embed"])
def test_only_bad_files_is_a_failure_that_writes_nothing(
    mscol: Command, tmp_path: Path, trained: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "bad.wav").write_bytes(b"")
    assert mscol(*commands(trained)[command]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "out.npz").exists()
    assert not (tmp_path / "out.store" / "store.json").exists()


@pytest.mark.parametrize("command", ["separate", "embed"])
def test_an_empty_folder_is_missing_data(
    mscol: Command, tmp_path: Path, trained: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "music").mkdir()
    assert mscol(*commands(trained)[command]) == 4
    assert "music" in capsys.readouterr().err


def test_a_store_of_an_older_layout_is_refused(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.store"
    old.mkdir()
    header = json.loads((store / "store.json").read_text())
    (old / "store.json").write_text(json.dumps({**header, "version": 0}))
    assert mscol("pretrain", old, "--objective", "cola") == 2
    captured = capsys.readouterr()
    assert "layout 0" in captured.err
    assert captured.err.count("\n") == 1


def test_an_unfinished_store_is_not_trained_on(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = tmp_path / "begun.store"
    begun.mkdir()
    header = json.loads((store / "store.json").read_text())
    (begun / "store.json").write_text(json.dumps({**header, "sealed": False}))
    assert mscol("pretrain", begun, "--objective", "cola") == 4
    assert "is not finished" in capsys.readouterr().err


@pytest.mark.slow
def test_random_mask_and_mws_train_where_there_are_no_sources_but_msa_does_not(
    mscol: Command, music: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("separate", music, "--separator", "none", "-o", "mix.store") == 0
    quick = ["--encoder", "small", "--steps", 1, "--batch-size", 4, "--device", "cpu"]
    for objective in ("cola", "mws", "random-mask"):
        assert mscol("pretrain", "mix.store", "--objective", objective, *quick) == 0
    capsys.readouterr()
    assert mscol("pretrain", "mix.store", "--objective", "msa", *quick) == 2
    assert "no sources" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.processes
def test_sigterm_leaves_a_store_that_the_same_command_finishes(
    collection: Collection, mscol: Command, tmp_path: Path
) -> None:
    arguments = ["separate", str(collection.stems), "--separator", "stems", "-o", "out.store"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mscol_cli", *arguments], stderr=subprocess.PIPE, cwd=tmp_path
    )
    lines = tmp_path / "out.store" / "tracks.jsonl"
    deadline = time.monotonic() + 60
    while not (lines.exists() and lines.stat().st_size) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode in (0, 130)  # it may have been quicker than the signal
    assert mscol(*arguments) == 0
    assert json.loads((tmp_path / "out.store" / "store.json").read_text())["sealed"]


@pytest.mark.slow
def test_no_colour_and_no_bar_off_a_terminal(mscol: Command, music: Path, trained: Path) -> None:
    command = [sys.executable, "-m", "mscol_cli", "embed", str(music), "--model", str(trained)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=music.parent)
    assert "\x1b" not in done.stdout + done.stderr
    assert mentions(done.stderr.splitlines()[0], f"{trained}/checkpoints/step-00000006", "step 6")
    assert len(done.stderr.splitlines()) == 1
