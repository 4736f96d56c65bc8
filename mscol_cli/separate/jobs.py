"""Workers of `separate` on this machine: starting them and showing their progress."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.jobs import no_worker_finished, run_workers
from mscol_cli.errors import MscolError
from mscol_cli.store import SAMPLE_RATE
from mscol_cli.store.header import FAILURES, TRACKS
from mscol_cli.store.journal import whole_tracks
from mscol_cli.store.plan import Plan
from mscol_cli.store.records import read_failures


def run_jobs(
    count: int, arguments: Sequence[str], store: Path, plan: Plan, progress: Progress, stored: int
) -> None:
    """Run workers until all have exited and all units are done.

    Args:
        count: Number of workers.
        arguments: Command line of each worker.
        store: Folder of the store.
        plan: Units to process.
        progress: Receives the combined progress of all workers.
        stored: Number of tracks that are already in the store and in no unit.

    Raises:
        MscolError: All workers ended early.
    """
    watch = _Watch(store, plan, progress, stored)
    codes = run_workers(count, arguments, progress, watch.report)
    # Without a plan, another command that fills the same store has sealed it.
    if Plan.read(store) is not None and not all(unit.is_done(store) for unit in plan.units):
        raise no_worker_finished(codes, f"finished tracks are saved in {store}")


class _Watch:
    """The progress of all workers, counted in their units."""

    def __init__(self, store: Path, plan: Plan, progress: Progress, stored: int) -> None:
        self._store, self._plan, self._progress = store, plan, progress
        total = stored + sum(len(unit.tracks) for unit in plan.units)
        progress.begin("separating", total, "tracks")
        self._units = {unit.number: _count(unit.folder(store)) for unit in plan.units}
        self._begun, self._before = time.monotonic(), _sum(self._units.values())
        progress.skip(stored + self._before.tried)
        self._reported = self._before.tried

    def report(self) -> None:
        """Report tracks that were finished since the last report."""
        for unit in self._plan.units:
            # Keep the last counts of a unit that has been joined meanwhile.
            if self._units[unit.number].tried < len(unit.tracks):
                counts = _count(unit.folder(self._store))
                self._units[unit.number] = max(self._units[unit.number], counts)
        total = _sum(self._units.values())
        seconds = (total.samples - self._before.samples) / SAMPLE_RATE
        speed = f"{seconds / (time.monotonic() - self._begun):.1f}"
        fields = {"failed": str(total.failed), "times real time": speed}
        self._progress.advance(total.tried - self._reported, **fields)
        self._reported = total.tried


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
