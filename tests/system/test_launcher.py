"""Processes that torchrun, srun or a user's own script started find each other."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.errors import UsageError
from mscol_cli.system.launcher import first_host, launched, launched_at
from tests.conftest import Command, run_in
from tests.helpers.messages import mentions

Capture = pytest.CaptureFixture[str]
QUICK = ["--encoder", "small", "--batch-size", "8", "--device", "cpu", "--steps", "1"]
NAMES = (
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST"),
)


@pytest.fixture(autouse=True)
def started_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def started(monkeypatch: pytest.MonkeyPatch, **variables: object) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def together(lines: Sequence[tuple[list[str], Mapping[str, str]]], folder: Path) -> None:
    """Run several command lines at once, each with variables of its own."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", *line],
            env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line, variables in lines
    ]
    for process in processes:
        _, message = process.communicate(timeout=120)
        assert process.returncode == 0, message


def last_line(run: Path) -> dict[str, Any]:
    line: dict[str, Any] = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    return line


@pytest.fixture(scope="module")
def alone(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in one process."""
    folder = tmp_path_factory.mktemp("alone")
    run_in(folder, ["pretrain", store, "--objective", "msa", *QUICK, "-o", "run"])
    return folder / "run"


def test_a_lone_process_was_launched_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched() is None
    # The script of sbatch, and the shell of salloc, have these without being one of several.
    started(monkeypatch, SLURM_PROCID=0, SLURM_NTASKS=4, SLURM_LOCALID=0)
    assert launched() is None


def test_a_job_began_when_its_launcher_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    own = launched_at()
    started(monkeypatch, SLURM_PROCID=0)
    assert time.time() - 1e8 < launched_at() < own < time.time()


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("gpu007", "gpu007"),
        ("gpu[003-007,12]", "gpu003"),
        ("a-1,b-2", "a-1"),
        ("rack[2]-node[01-04]", "rack2-node01"),
        ("login,gpu[1-2]", "login"),
        ("", ""),
    ],
)
def test_the_first_host_of_a_list_is_where_processes_meet(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": 2, "WORLD_SIZE": 2}, "RANK is 2.* WORLD_SIZE 2"),
        ({"RANK": "first", "WORLD_SIZE": 2}, "RANK is 'first'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, object], message: str
) -> None:
    started(monkeypatch, **variables)
    with pytest.raises(UsageError, match=message):
        launched()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--processes", 4], r"--processes.*\b4\b.*\b2\b"),
        (["--gpus", 0], "--gpus"),
        (["--processes", 2, "--gpus", 2], "--processes.*--gpus|--gpus.*--processes"),
        ([], "MASTER_ADDR.*MASTER_PORT"),
    ],
)
def test_contradictions_are_refused(
    mscol: Command,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    options: list[object],
    message: str,
) -> None:
    started(monkeypatch, RANK=0, WORLD_SIZE=2)
    assert mscol("pretrain", store, "--objective", "msa", *QUICK, *options, "-o", "run") == 2
    assert re.search(message, capsys.readouterr().err)
    assert not Path("run").exists()


def test_several_processes_do_not_share_one_gpu(
    mscol: Command, store: Path, capsys: Capture
) -> None:
    line = ["pretrain", store, "--objective", "msa", "--device", "cuda:1", "--processes", 2]
    assert mscol(*line) == 2
    assert mentions(capsys.readouterr().err, "cuda:1", "2 processes")


@pytest.mark.slow
@pytest.mark.processes
def test_two_launchers_on_two_hosts_train_what_one_process_does(
    store: Path, alone: Path, tmp_path: Path
) -> None:
    meeting = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=a"]
    endpoint = f"--rdzv-endpoint=127.0.0.1:{free_port()}"
    train = ["-m", "mscol_cli", "pretrain", str(store), "--objective", "msa", *QUICK, "-o", "run"]
    line = ["torch.distributed.run", *meeting, endpoint, "--local-addr=127.0.0.1", *train]
    together([(line, {}), (line, {})], tmp_path)
    assert last_line(tmp_path / "run")["loss"] == pytest.approx(last_line(alone)["loss"], rel=1e-5)
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["training"]
    assert settings["processes"] == 2


@pytest.mark.slow
@pytest.mark.processes
def test_processes_of_srun_train_what_one_process_does(
    store: Path, alone: Path, tmp_path: Path
) -> None:
    def task(number: int) -> dict[str, str]:
        return {
            "SLURM_PROCID": str(number),
            "SLURM_LOCALID": str(number),
            "SLURM_STEP_NUM_TASKS": "2",
            "SLURM_STEP_NODELIST": "127.0.0.1",
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_STEP_ID": "0",
        }

    line = ["mscol_cli", "pretrain", str(store), "--objective", "msa", *QUICK, "-o", "run"]
    together([([*line, "--processes", "2"], task(number)) for number in range(2)], tmp_path)
    assert last_line(tmp_path / "run")["loss"] == pytest.approx(last_line(alone)["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("variables", "printed"), [({"RANK": "0", "WORLD_SIZE": "2"}, "done"), ({}, "done, ended")]
)
def test_one_of_several_processes_exits_without_ending_the_interpreter(
    variables: dict[str, str], printed: str
) -> None:
    script = """
import atexit
from mscol_cli.system.launcher import end_process

atexit.register(print, ", ended", end="")
print("done", end="")
end_process(3)
"""
    env = {**os.environ, **variables}
    run = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (3, printed)


def test_an_interruption_while_modules_are_imported_prints_one_line() -> None:
    script = """
import sys
from mscol_cli.__main__ import main

class Interrupting:
    def find_spec(self, name, *_):
        if name == "mscol_cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
main()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (130, "error: interrupted.\n")
