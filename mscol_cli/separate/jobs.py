"""Workers of `separate` on this machine: starting and monitoring processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mscol_cli.contracts.progress import NO_BAR, Progress
from mscol_cli.engine.devices import require_gpus
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.separate.separator import SeparateRequest
from mscol_cli.store import SAMPLE_RATE
from mscol_cli.store.header import FAILURES, TRACKS
from mscol_cli.store.journal import whole_tracks
from mscol_cli.store.plan import Plan
from mscol_cli.store.records import read_failures
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


def wanted_jobs(request: SeparateRequest) -> int:
    """Number of workers to start; 1 if this process does the work.

    Raises:
        UsageError: The options contradict each other or the launcher of this process.
    """
    if request.jobs is None and request.gpus is None:
        return 1
    if request.jobs is not None and request.gpus is not None:
        raise UsageError("--jobs and --gpus both set the number of processes: give one.")
    if rank_and_workers() is not None:
        raise UsageError(
            "this process is one of several already (RANK and WORLD_SIZE, or those of SLURM, are"
            " set): leave out --jobs and --gpus."
        )
    count = request.jobs or request.gpus or 0
    if count < 1:
        raise UsageError("--jobs and --gpus take a number of 1 or more.")
    if request.gpus is not None:
        require_gpus(request.gpus)
    return count


def worker_arguments(request: SeparateRequest) -> list[str]:
    """Command line of one of several workers, without `mscol`."""
    named = {
        "--output": request.output,
        "--separator": request.separator,
        "--model": request.model,
        "--recipe": request.recipe,
        "--export": request.export,
        "--export-dir": request.export_dir,
        "--device": request.device,
    }
    options = [str(part) for pair in named.items() if pair[1] is not None for part in pair]
    options += [part for option in request.options for part in ("--opt", option)]
    options += ["--offline"] if request.offline else []
    options += ["--retry-failed"] if request.retry_failed else []
    return ["separate", *options, "--", *map(str, request.inputs)]


def run_jobs(
    count: int, arguments: Sequence[str], store: Path, plan: Plan, progress: Progress, stored: int
) -> None:
    """Run workers until all have exited. The last one seals the store.

    Args:
        count: Number of workers.
        arguments: Command line of each worker.
        store: Folder of the store.
        plan: Units to process.
        progress: Receives the combined progress of all workers.
        stored: Number of tracks that are already in the store and in no unit.

    Raises:
        MscolError: No worker finished.
    """
    workers = [_start(rank, count, arguments) for rank in range(count)]
    try:
        _watch(workers, store, plan, progress, stored)
    except BaseException:
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait()
        raise
    _warn_of_crashes(workers, progress)
    if Plan.read(store) is not None:
        codes = sorted({worker.returncode for worker in workers})
        failure = MscolError(
            f"no worker finished (exit codes {', '.join(map(str, codes))}); finished tracks are"
            f" saved in {store}: run the same command again to continue"
        )
        failure.exit_code = next((code for code in codes if 0 < code < 128), 1)
        raise failure


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


def _watch(
    workers: Sequence[subprocess.Popen[bytes]],
    store: Path,
    plan: Plan,
    progress: Progress,
    stored: int,
) -> None:
    total = stored + sum(len(unit.tracks) for unit in plan.units)
    progress.begin("separating", total, "tracks")
    units = {unit.number: _count(unit.folder(store)) for unit in plan.units}
    begun, before = time.monotonic(), _sum(units.values())
    progress.skip(stored + before.tried)
    reported = before.tried
    while any(worker.poll() is None for worker in workers):
        time.sleep(_PAUSE)
        for unit in plan.units:
            # Keep the last counts of a unit that has been joined meanwhile.
            if units[unit.number].tried < len(unit.tracks):
                units[unit.number] = max(units[unit.number], _count(unit.folder(store)))
        total_counts = _sum(units.values())
        seconds = (total_counts.samples - before.samples) / SAMPLE_RATE
        speed = f"{seconds / (time.monotonic() - begun):.1f}"
        fields = {"failed": str(total_counts.failed), "times real time": speed}
        progress.advance(total_counts.tried - reported, **fields)
        reported = total_counts.tried
    progress.end()


class _Counts(NamedTuple):
    """Tracks of a unit that were tried, tracks that failed, and samples stored."""

    tried: int = 0
    failed: int = 0
    samples: int = 0


def _sum(units: Iterable[_Counts]) -> _Counts:
    return _Counts(*map(sum, zip(*units, strict=True)))


def _count(folder: Path) -> _Counts:
    try:
        samples = [record.samples for record in whole_tracks(folder / TRACKS)]
        failed = len(list(read_failures(folder / FAILURES)))
    except (OSError, MscolError):  # being joined, or being written
        return _Counts()
    return _Counts(len(samples) + failed, failed, sum(samples))


def _warn_of_crashes(workers: Sequence[subprocess.Popen[bytes]], progress: Progress) -> None:
    for rank, worker in enumerate(workers):
        if (code := worker.returncode) not in (0, 3):
            cause = f"signal {-code}" if code < 0 else f"exit code {code}"
            progress.warn(f"worker {rank} of {len(workers)} ended early ({cause})")
