"""Several processes that share the inputs of a command: ranks, workers, their progress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from mscol_cli.contracts.options import as_words
from mscol_cli.contracts.progress import NO_BAR, Progress
from mscol_cli.engine.devices import require_gpus
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.system.launcher import LAUNCHER, launched

_PAUSE = 0.5


def rank_and_workers() -> tuple[int, int] | None:
    """Rank of this worker and number of workers; None unless torchrun or srun started several."""
    launch = launched()
    return (launch.rank, launch.processes) if launch is not None and launch.processes > 1 else None


def is_managed_worker() -> bool:
    """Whether another mscol process started this one and reports its progress."""
    return NO_BAR in os.environ


def local_device(name: str) -> str:
    """Device of this worker. `auto` and `cuda` select a GPU by the local rank."""
    launch = launched()
    if name not in ("auto", "cuda") or launch is None:
        return name
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{launch.local_rank % count}" if count else name


def worker_arguments(command: str, request: Any) -> list[str]:
    """Command line of one of several workers, without `mscol`, for a request with inputs."""
    options = as_words(request, without=("inputs", "jobs", "gpus"))
    return [command, *options, "--", *map(str, request.inputs)]


MAX_PROCESSES = 1024
"""More workers on one machine are a typing error."""


def wanted_jobs(jobs: int | None, gpus: int | None) -> int:
    """Number of workers to start; 1 if this process does the work.

    Raises:
        UsageError: The options contradict each other or the launcher of this process.
    """
    if jobs is None and gpus is None:
        return 1
    if jobs is not None and gpus is not None:
        raise UsageError("--jobs and --gpus both set the number of processes: give one.")
    if rank_and_workers() is not None:
        raise UsageError(
            "this process is one of several already (RANK and WORLD_SIZE, or those of SLURM, are"
            " set): leave out --jobs and --gpus."
        )
    count = jobs or gpus or 0
    if count < 1:
        raise UsageError("--jobs and --gpus take a number of 1 or more.")
    if count > MAX_PROCESSES:
        option = "--jobs" if gpus is None else "--gpus"
        raise UsageError(f"{option} {count} is more than {MAX_PROCESSES} processes: start fewer.")
    if gpus is not None:
        require_gpus(gpus, f"--jobs {gpus}")
    return count


def run_workers(
    count: int, arguments: Sequence[str], progress: Progress, watch: Callable[[], None]
) -> list[int]:
    """Run workers until all have exited, and warn of those that crashed.

    Args:
        count: Number of workers.
        arguments: Command line of each worker.
        progress: Receives warnings.
        watch: Called twice a second, to report the progress of all workers.

    Returns:
        Exit codes, negative for a signal.
    """
    workers = [_start(rank, count, arguments) for rank in range(count)]
    try:
        while any(worker.poll() is None for worker in workers):
            time.sleep(_PAUSE)
            watch()
    except BaseException:
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait()
        raise
    codes = [worker.returncode for worker in workers]
    for rank, code in enumerate(codes):
        if code not in (0, 3):
            cause = f"signal {-code}" if code < 0 else f"exit code {code}"
            progress.warn(f"worker {rank} of {count} ended early ({cause})")
    return codes


def no_worker_finished(codes: Sequence[int], kept: str) -> MscolError:
    """The error when all workers have exited before the work was done.

    Args:
        codes: Their exit codes.
        kept: What is saved, as a clause.
    """
    different = sorted(set(codes))
    failure = MscolError(
        f"no worker finished (exit codes {', '.join(map(str, different))}); {kept}: run the same"
        " command again to continue"
    )
    failure.exit_code = next((code for code in different if 0 < code < 128), 1)
    return failure


def _start(rank: int, count: int, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    threads = str(max(1, (os.cpu_count() or 1) // count))
    environment = {
        "OMP_NUM_THREADS": threads,
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        NO_BAR: "1",
        LAUNCHER: str(os.getpid()),
    }
    command = [sys.executable, "-m", "mscol_cli", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
