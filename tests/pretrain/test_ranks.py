"""Several processes of one run: one of them speaks, and none waits for ever."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mscol_cli.runs.state import training_lock
from tests.conftest import Command

Capture = pytest.CaptureFixture[str]
MODULE = ("-m", "mscol_cli")
FAILING = """
import os, sys
from mscol_cli.__main__ import main
from mscol_cli.errors import UsageError
from mscol_cli.runs import checkpoint
read, failures = checkpoint.read_weights, int(sys.argv.pop(1)) * (os.environ["RANK"] == "1")
def read_weights(*arguments):
    global failures
    failures -= 1
    if failures >= 0:
        raise UsageError("the disk failed")
    return read(*arguments)
checkpoint.read_weights = read_weights
main()
"""
"""Reads of checkpoints fail in the second process, as often as the first argument says."""
QUICK = ["--objective", "mws", "--encoder", "small", "--batch-size", 8, "--device", "cpu"]


def start(
    rank: int,
    address: str,
    port: int,
    arguments: Sequence[object],
    folder: Path,
    limit: int = 200,
    program: Sequence[str] = MODULE,
) -> subprocess.Popen[str]:
    """One of two processes, as torchrun starts them."""
    launcher = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    rendezvous = {"MASTER_ADDR": address, "MASTER_PORT": str(port), "MSCOL_TIMEOUT": str(limit)}
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        env={**os.environ, **rendezvous, **launcher},
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.slow
@pytest.mark.processes
def test_the_first_process_speaks_for_all_and_all_have_its_exit_code(
    store: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    line = ["pretrain", store, *QUICK, "--steps", 2, "-o", "run"]
    port = free_port()
    processes = [start(rank, "127.0.0.1", port, line, tmp_path) for rank in range(2)]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    assert errors[0].count("error: ") == 1
    assert "already contains files" in errors[0]
    assert errors[1] == ""


@pytest.mark.slow
@pytest.mark.processes
def test_a_host_that_is_unknown_is_one_line_within_the_time_limit(
    store: Path, tmp_path: Path
) -> None:
    line = ["pretrain", store, *QUICK, "--steps", 2, "-o", "run"]
    process = start(1, "nowhere.invalid", free_port(), line, tmp_path, limit=3)
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 1
    assert error.count("\n") == 1
    assert "cannot connect to nowhere.invalid" in error
    assert "MSCOL_TIMEOUT sets the limit of 3 s" in error


def test_a_time_limit_that_is_none_is_refused(
    mscol: Command, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    values = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    for name, value in {**values, "MSCOL_TIMEOUT": "soon"}.items():
        monkeypatch.setenv(name, value)
    assert mscol("pretrain", store, *QUICK, "--steps", 2, "-o", "run") == 2
    assert "MSCOL_TIMEOUT is 'soon'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_system_without_locks_and_links_is_warned_of(
    mscol: Command, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def refused(code: int) -> object:
        def call(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        return call

    monkeypatch.setattr(fcntl, "flock", refused(errno.ENOLCK))
    monkeypatch.setattr(Path, "symlink_to", refused(errno.EPERM))
    options = ["--steps", 2, "--save-every", 1, "-o", "runs/a"]
    assert mscol("pretrain", store, *QUICK, *options) == 0
    error = capsys.readouterr().err
    assert "the file system of runs/a has no locks" in error
    assert error.count("cannot be updated (Operation not permitted)") == 2
    assert Path("runs/a/checkpoints/step-00000002").is_dir()


@pytest.fixture
def half(mscol: Command, store: Path, tmp_path: Path) -> Path:
    """A run with checkpoints of steps 1 and 2."""
    options = ["--steps", 2, "--save-every", 1, "--keep-last", 9, "-o", "run"]
    assert mscol("pretrain", store, *QUICK, *options) == 0
    return tmp_path / "run"


def steps(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir() if path.name != "best")


def resume_in_two(run: Path, failures: int) -> tuple[list[int], list[str]]:
    """Exit codes and errors of two processes, of which the second cannot read at first."""
    line, port = [failures, "pretrain", "--resume", "-o", "run", "--steps", 3], free_port()
    processes = [
        start(rank, "127.0.0.1", port, line, run.parent, 60, ("-c", FAILING)) for rank in range(2)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [process.returncode for process in processes], errors


@pytest.mark.slow
@pytest.mark.processes
def test_a_passing_read_error_of_one_process_does_not_let_it_resume_from_an_older_step(
    half: Path,
) -> None:
    codes, errors = resume_in_two(half, failures=1)
    assert codes == [0, 0], errors
    assert steps(half) == [f"step-{step:08d}" for step in (1, 2, 3)]


@pytest.mark.slow
@pytest.mark.processes
def test_processes_that_have_not_read_the_same_checkpoint_do_not_train(half: Path) -> None:
    codes, errors = resume_in_two(half, failures=99)
    assert codes == [1, 1], errors
    assert "process 1 has not read the same run/checkpoints/step-00000002" in errors[0]
    assert "(the disk failed)" in errors[1]
    assert steps(half) == ["step-00000001", "step-00000002"]


@pytest.mark.slow
@pytest.mark.processes
def test_processes_that_were_killed_before_they_saved_are_not_said_to_have_saved(
    store: Path, tmp_path: Path
) -> None:
    options = ["--steps", 100_000, "--save-every", 1, "--processes", 2, "-o", "run"]
    line = [sys.executable, *MODULE, "pretrain", store, *QUICK, *options]
    environment = {**os.environ, "MSCOL_TIMEOUT": "15"}
    launcher = subprocess.Popen(
        [*map(str, line)], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    while not any(tmp_path.glob("run/checkpoints/step-*")):
        assert launcher.poll() is None
        time.sleep(0.1)
    # A process that saves for too long.
    os.kill(json.loads((tmp_path / "run" / "state.json").read_text())["process"], signal.SIGSTOP)
    launcher.terminate()
    message = launcher.communicate(timeout=28)[1].splitlines()[-1]  # torch's own limit is 30 s
    assert launcher.returncode == 1, message
    assert "killed before they saved: resume at step" in message
    assert (
        message == f"error: {json.loads((tmp_path / 'run' / 'state.json').read_text())['reason']}"
    )


@pytest.mark.slow
def test_a_checkpoint_with_an_open_file_does_not_end_the_training(
    mscol: Command, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_empty(path: str, **_: int) -> None:  # as NFS
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)

    monkeypatch.setattr(os, "rmdir", not_empty)
    options = ["--steps", 4, "--save-every", 1, "--keep-last", 1, "-o", "run"]
    assert mscol("pretrain", store, *QUICK, *options) == 0
    assert len([name for name in steps(Path("run")) if name.startswith("step-")]) <= 2


@pytest.mark.slow
def test_old_checkpoints_that_cannot_be_renamed_are_warned_of_once(
    mscol: Command, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    rename = Path.rename

    def busy(path: Path, target: Path) -> Path:
        if path.name.startswith("step-"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", busy)
    options = ["--steps", 4, "--save-every", 1, "--keep-last", 1, "-o", "run"]
    assert mscol("pretrain", store, *QUICK, *options) == 0
    assert capsys.readouterr().err.count("cannot be deleted (Device or resource busy)") == 1
    assert len(steps(Path("run"))) == 4


@pytest.mark.slow
def test_a_run_that_another_host_trains_too_is_not_saved_again(
    mscol: Command, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def train_too(run: Path, _keep: int) -> None:
        with training_lock(run):
            pass

    monkeypatch.setattr(fcntl, "flock", lambda *_: None)  # as between hosts
    monkeypatch.setattr("mscol_cli.runs.checkpoint.prune", train_too)
    options = ["--steps", 2, "--save-every", 1, "-o", "run"]
    assert mscol("pretrain", store, *QUICK, *options) == 1
    assert "taken by two processes" in capsys.readouterr().err
    assert steps(Path("run")) == ["step-00000001"]
