"""Several processes of one run: one of them speaks, and none waits for ever."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import Command

Capture = pytest.CaptureFixture[str]
QUICK = ["--objective", "mws", "--encoder", "small", "--batch-size", 8, "--device", "cpu"]


def start(
    rank: int, address: str, port: int, arguments: Sequence[object], folder: Path, limit: int = 200
) -> subprocess.Popen[str]:
    """One of two processes, as torchrun starts them."""
    launcher = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    rendezvous = {"MASTER_ADDR": address, "MASTER_PORT": str(port), "MSCOL_TIMEOUT": str(limit)}
    return subprocess.Popen(
        [sys.executable, "-m", "mscol_cli", *map(str, arguments)],
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
