"""hosts.sh of docs/clusters.md, as it stands there, on two hosts with a cable between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.helpers.clusters import write_job_folder
from tests.helpers.files import digests
from tests.helpers.hosts import Host, missing, two_hosts, wait_until
from tests.helpers.training import metrics

pytestmark = pytest.mark.engines

TRAIN = ("--encoder", "small", "--batch-size", 8)
STEPS = ("--steps", 60, "--save-every", 10)
LAST = "checkpoints/step-00000060"
LIMIT_S, GRACE_S = 15, 45
"""MSCOL_TIMEOUT, and what torchrun and a busy machine may take on top of it."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    if reason := missing():
        pytest.skip(f"two hosts on this machine: {reason}")
    with two_hosts(tmp_path_factory.mktemp("hosts"), ("hosta", "hostb")) as both:
        yield both


class Run:
    """hosts.sh, started on both hosts with one process each."""

    def __init__(
        self,
        hosts: Sequence[Host],
        folder: Path,
        environment: dict[str, str],
        *options: object,
        first: str = "hosta",
        limit_s: int = LIMIT_S,
    ) -> None:
        self.folder = folder / "runs" / "msa"
        variables = {**environment, "PROCESSES": "1", "MSCOL_TIMEOUT": str(limit_s)}
        self._logs = [folder / f"{host.name}.log" for host in hosts]
        self.launchers: list[subprocess.Popen[str]] = [
            host.start(
                "./hosts.sh", first, *TRAIN, *options, folder=folder, log=log, environment=variables
            )
            for host, log in zip(hosts, self._logs, strict=True)
        ]

    def codes(self, seconds: float = 300) -> list[int]:
        """Exit codes, once both have ended."""
        return [launcher.wait(seconds) for launcher in self.launchers]

    def errors(self) -> list[list[str]]:
        """The lines of each host that mscol prints about an error."""
        texts = (log.read_text().splitlines() for log in self._logs)
        return [[line for line in text if line.startswith("error: ")] for text in texts]

    def wait_for_checkpoint(self) -> None:
        wait_until(lambda: any(self.folder.glob("checkpoints/step-*")), 180, every=0.02)


@pytest.fixture(scope="module")
def undisturbed(
    hosts: tuple[Host, Host],
    environment: dict[str, str],
    music: Path,
    store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A run that nothing has disturbed."""
    folder = write_job_folder(tmp_path_factory.mktemp("undisturbed") / "jobs", music, store)
    run = Run(hosts, folder, environment, *STEPS)
    assert run.codes() == [0, 0], run.errors()
    return run.folder


def weights(run: Path) -> dict[str, str]:
    return digests(run / LAST, "*.safetensors")


def test_two_hosts_train_what_one_process_does(
    hosts: tuple[Host, Host],
    environment: dict[str, str],
    job_folder: Path,
    mscol: Command,
    store: Path,
    tmp_path: Path,
) -> None:
    # One update: Adam's first step already blows rounding up, where a gradient is near zero.
    train = [*TRAIN, "--steps", 1]
    assert mscol("pretrain", store, "--objective", "msa", *train, "-o", tmp_path / "one") == 0
    run = Run(hosts, job_folder, environment, "--steps", 1)
    assert run.codes() == [0, 0], run.errors()
    (one,), (two,) = metrics(tmp_path / "one"), metrics(run.folder)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)


def test_a_killed_process_ends_the_other_host_and_the_same_lines_resume(
    hosts: tuple[Host, Host], environment: dict[str, str], job_folder: Path, undisturbed: Path
) -> None:
    run = Run(hosts, job_folder, environment, *STEPS, limit_s=600)
    run.wait_for_checkpoint()
    os.kill(hosts[1].processes("mscol_cli", "pretrain")[-1], signal.SIGKILL)
    assert run.codes(GRACE_S) == [1, 1]
    (error,) = run.errors()[0]
    assert "another process of runs/msa was killed or has failed: resume at step" in error
    assert_resumes(hosts, job_folder, environment, undisturbed)


def test_hosts_whose_cable_is_pulled_end_within_the_limit_and_the_same_lines_resume(
    hosts: tuple[Host, Host], environment: dict[str, str], job_folder: Path, undisturbed: Path
) -> None:
    run = Run(hosts, job_folder, environment, *STEPS)
    run.wait_for_checkpoint()
    hosts[1].connect(up=False)
    time.sleep(20)
    hosts[1].connect(up=True)
    assert run.codes(GRACE_S) == [1, 1]
    for (error,) in run.errors():
        assert "another process of runs/msa was killed or has failed: resume at step" in error
    assert_resumes(hosts, job_folder, environment, undisturbed)


def assert_resumes(
    hosts: tuple[Host, Host], folder: Path, environment: dict[str, str], undisturbed: Path
) -> None:
    """Assert that the same lines continue to the weights of an undisturbed run."""
    again = Run(hosts, folder, environment, *STEPS)
    assert again.codes() == [0, 0], again.errors()
    assert weights(again.folder) == weights(undisturbed)
    assert [line["step"] for line in metrics(again.folder)] == [10, 20, 30, 40, 50, 60]


def test_a_first_host_that_is_unknown_ends_torchrun(
    hosts: tuple[Host, Host], environment: dict[str, str], job_folder: Path
) -> None:
    run = Run(hosts, job_folder, environment, "--steps", 1, first="nowhere.invalid")
    assert run.codes(120) == [1, 1]
    assert not run.folder.exists()


def test_a_port_that_is_taken_ends_torchrun(
    hosts: tuple[Host, Host], environment: dict[str, str], job_folder: Path
) -> None:
    # It closes connections whose protocol it does not speak, as most services do.
    listen = "import socket; s = socket.create_server(('', 29500))\nwhile 1: s.accept()[0].close()"
    hosts[0].start(sys.executable, "-c", listen, folder=job_folder)
    wait_until(lambda: hosts[0].processes(listen))
    try:
        run = Run(hosts, job_folder, environment, "--steps", 1)
        assert run.codes(120) == [1, 1]
    finally:
        os.kill(hosts[0].processes(listen)[0], signal.SIGKILL)
    assert not run.folder.exists()
