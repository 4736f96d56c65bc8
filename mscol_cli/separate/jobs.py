"""Several workers on this machine: processes that are started, watched, and outlived."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    """Number of this worker and how many there are, where torchrun or srun started several."""
    here = launched()
    return (here.rank, here.processes) if here is not None and here.processes > 1 else None


def is_managed_worker() -> bool:
    """Whether another process of mscol's started this one, and tells what became of it."""
    return NO_BAR in os.environ


def local_device(name: str) -> str:
    """The device of this worker: `auto` and `cuda` are the GPU of its number on this machine."""
    here = launched()
    if name not in ("auto", "cuda") or here is None:
        return name
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{here.local_rank % count}" if count else name


def wanted_jobs(request: SeparateRequest) -> int:
    """How many workers to start; 1 where this process is the only one, or one of others.

    Raises:
        UsageError: Options contradict each other or what started this process.
    """
    if request.jobs is None and request.gpus is None:
        return 1
    if request.jobs is not None and request.gpus is not None:
        raise UsageError("--jobs and --gpus both say how many processes: give one.")
    if rank_and_workers() is not None:
        raise UsageError(
            "this process is one of several already (RANK and WORLD_SIZE, or SLURM's, are set):"
            " leave out --jobs and --gpus."
        )
    count = request.jobs or request.gpus or 0
    if count < 1:
        raise UsageError("--jobs and --gpus take a number of 1 or more.")
    if request.gpus is not None:
        require_gpus(request.gpus)
    return count


def run_jobs(
    count: int, arguments: Sequence[str], store: Path, plan: Plan, progress: Progress, stored: int
) -> None:
    """Run workers until all have ended; the last one has sealed the store.

    Args:
        count: How many.
        arguments: Command line of each.
        store: Folder of the store.
        plan: What they do.
        progress: Sees what all of them did.
        stored: Tracks that are in the store already and in no unit.

    Raises:
        MscolError: None of them could finish.
    """
    workers = [_start(number, count, arguments) for number in range(count)]
    try:
        _watch(workers, store, plan, progress, stored)
    except BaseException:
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait()
        raise
    _tell(workers, progress)
    if Plan.read(store) is not None:
        codes = sorted({worker.returncode for worker in workers})
        failure = MscolError(
            f"no worker finished (exit codes {', '.join(map(str, codes))}); what is done is safe in"
            f" {store}: run the same command again to go on"
        )
        failure.exit_code = next((code for code in codes if 0 < code < 128), 1)
        raise failure


def _start(number: int, count: int, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    threads = str(max(1, (os.cpu_count() or 1) // count))
    environment = {
        "OMP_NUM_THREADS": threads,
        **os.environ,
        "RANK": str(number),
        "LOCAL_RANK": str(number),
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
    units = {unit.number: _look(unit.folder(store)) for unit in plan.units}
    begun, before = time.monotonic(), _sum(units.values())
    progress.skip(stored + before.tried)
    shown = before.tried
    while any(worker.poll() is None for worker in workers):
        time.sleep(_PAUSE)
        for unit in plan.units:
            # A unit that is joined by now keeps what was seen of it.
            if units[unit.number].tried < len(unit.tracks):
                units[unit.number] = max(units[unit.number], _look(unit.folder(store)))
        seen = _sum(units.values())
        seconds = (seen.samples - before.samples) / SAMPLE_RATE
        speed = f"{seconds / (time.monotonic() - begun):.1f}"
        progress.advance(
            seen.tried - shown, **{"failed": str(seen.failed), "times real time": speed}
        )
        shown = seen.tried
    progress.end()


@dataclass(frozen=True, order=True)
class _Seen:
    """Tracks of a unit that were tried, those that failed, and samples that were stored."""

    tried: int = 0
    failed: int = 0
    samples: int = 0


def _sum(units: Iterable[_Seen]) -> _Seen:
    seen = list(units)
    return _Seen(
        sum(one.tried for one in seen),
        sum(one.failed for one in seen),
        sum(one.samples for one in seen),
    )


def _look(folder: Path) -> _Seen:
    try:
        samples = [record.samples for record in whole_tracks(folder / TRACKS)]
        failed = len(list(read_failures(folder / FAILURES)))
    except (OSError, MscolError):  # being joined, or being written
        return _Seen()
    return _Seen(len(samples) + failed, failed, sum(samples))


def _tell(workers: Sequence[subprocess.Popen[bytes]], progress: Progress) -> None:
    died: Mapping[int, int] = {
        number: worker.returncode
        for number, worker in enumerate(workers)
        if worker.returncode not in (0, 3)
    }
    for number, code in died.items():
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        progress.warn(f"worker {number} of {len(workers)} ended early ({how})")
