"""Worker of `separate`: processes units until all are done, and seals the store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mscol_cli.audio import durations
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.engine.devices import forbid_tf32
from mscol_cli.errors import BadInputError, MscolError
from mscol_cli.separate.batching import Separated, separate_groups
from mscol_cli.separate.copies import Copies
from mscol_cli.store import SAMPLE_RATE, FailureRecord, FileStamp, SeparatorIdentity, StoreWriter
from mscol_cli.store.joining import failures_so_far, join, records_so_far, store_lock
from mscol_cli.store.plan import Plan, PlannedTrack, Unit, is_planned
from mscol_cli.store.records import Stored
from mscol_cli.system.files import existing_parent
from mscol_cli.system.locks import Lock
from mscol_cli.system.outcomes import Failures, warn_short, warn_skipped
from mscol_cli.system.signals import raise_if_interrupted

_SHORTEST, _LONGEST = 0.5, 10.0
"""Seconds between two looks for free units, which become longer while none is found."""


@dataclass
class Worker:
    """Fills the units of a plan in one process.

    Attributes:
        store: Folder of the store.
        separator: The separator to run.
        identity: Its identity.
        copies: Listening copies to write; None without.
        progress: Receives progress and warnings.
        tracks: Inputs of this command. A plan may name them by paths of an earlier command, whose
            folder was another one or has moved since.
        failures: Failed inputs of this worker, with reasons.
        sealed_failures: Those of all workers, if this one sealed the store.
    """

    store: Path
    separator: Separator
    identity: SeparatorIdentity
    copies: Copies | None
    progress: Progress
    tracks: Sequence[TrackInput] = ()

    def __post_init__(self) -> None:
        self.failures: Failures = []
        self.sealed_failures: Failures = []
        self._named = {(track.id, track.problem): track for track in self.tracks}
        self._begun, self._seconds = time.monotonic(), 0.0
        self._counted: set[int] = set()
        self._inputs = 0

    def fill(self, plan: Plan, rank: int, workers: int, stored: int = 0) -> None:
        """Fill units until all are done.

        A worker waits for the units of other workers, and takes over those of crashed ones.

        Args:
            plan: The units.
            rank: Rank of this worker; each starts at a different unit.
            workers: Number of workers.
            stored: Number of tracks that are already in the store and in no unit.
        """
        total = stored + sum(len(unit.tracks) for unit in plan.units)
        self.progress.begin("separating", total, "tracks")
        self.progress.skip(stored)
        # A store with tracks remains, also if its only input fails now: that is not an error.
        self._inputs = total + (plan.line_bytes > 0)
        self._fill_units(plan, rank, workers)

    def seal(self, rank: int = 0, workers: int = 1) -> bool:
        """Seal the store when all units are done, also those that another run adds meanwhile.

        Returns:
            Whether this worker sealed the store, and no other one.
        """
        remaining, sealed = self._seal()
        while remaining is not None:
            self._fill_units(remaining, rank, workers)
            remaining, sealed = self._seal()
        return sealed

    def _fill_units(self, plan: Plan, rank: int, workers: int) -> None:
        """Fill units until all of a plan are done, or another worker has sealed the store."""
        first = rank * len(plan.units) // workers
        units = [*plan.units[first:], *plan.units[:first]]
        pause = _SHORTEST
        while units := self._undone_units(units):
            # Networks, filter and resampling are exact on a GPU, too.
            with forbid_tf32():
                tried = [self._try(unit) for unit in units]
            if any(tried):
                pause = _SHORTEST
            elif is_planned(self.store):
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST)
            else:
                break

    def _undone_units(self, units: Sequence[Unit]) -> list[Unit]:
        """Units that are not done. Tracks of the others are counted in the progress."""
        done = {unit.number: len(unit.tracks) for unit in units if unit.is_done(self.store)}
        new = done.keys() - self._counted
        self.progress.skip(sum(done[number] for number in new))
        self._counted |= new
        return [unit for unit in units if unit.number not in done]

    def _try(self, unit: Unit) -> bool:
        """Fill a unit, unless another worker is filling it; returns whether it was free."""
        lock = Lock(unit.lock(self.store), marked=True)
        try:
            if not lock.take():
                return False
        except FileNotFoundError:  # joined and cleaned up by another
            return False
        with lock:
            try:
                # After the lock was taken: the one that seals removes the units, also this one.
                if is_planned(self.store) and not unit.is_done(self.store):
                    self._fill(unit, lock)
            except (OSError, MscolError):
                # A network file system may show the plan for a while after it was removed.
                if is_planned(self.store):
                    raise
            return is_planned(self.store)

    def _fill(self, unit: Unit, lock: Lock) -> None:
        sources, folder = self.separator.sources, unit.folder(self.store)
        failures: Failures = []
        if self.copies is not None:
            self.copies.refresh()
        with StoreWriter(folder, sources, self.identity) as writer:
            # Groups with unfinished tracks are repeated completely, in the same batches.
            groups = [
                [self._input(planned) for planned in group]
                for group in unit.groups()
                if not all(self._is_done(planned, writer) for planned in group)
            ]
            done = {track.id for track in unit.tracks if self._is_done(track, writer)}
            self.progress.skip(len(done))
            self._counted.add(unit.number)
            scratch = existing_parent(self.store)
            copies = self.copies is not None
            for track, separated in separate_groups(groups, self.separator, scratch, copies):
                raise_if_interrupted()
                lock.require_held()
                try:
                    self._write(track, separated, writer, unit)
                except BadInputError as error:
                    warn_skipped(self.progress.warn, str(error), self._inputs)
                    failures.append((track.id, str(error)))
                # A finished track is repeated only for the others of its group.
                self.progress.advance(int(track.id not in done), **self._fields(len(failures)))
            inputs = [self._input(planned) for planned in unit.tracks]
            writer.seal(failure_records(inputs, failures))
        self.failures += failures

    def _input(self, planned: PlannedTrack) -> TrackInput:
        return self._named.get((planned.id, planned.problem)) or planned.to_input()

    def _is_done(self, planned: PlannedTrack, writer: StoreWriter) -> bool:
        if planned.problem is not None:
            return False
        track = self._input(planned)
        for stored in self._stores(planned, writer):
            if stored.holds(track.id, track.files):
                return self.copies is None or self.copies.holds(track.id, stored.stamps(track.id))
        return False

    def _stores(self, planned: PlannedTrack, writer: StoreWriter) -> Iterator[Stored]:
        """Where a track may be stored: in its unit, or before the unit was planned."""
        yield writer.stored
        if planned.stored:
            yield self._stored_before

    @cached_property
    def _stored_before(self) -> Stored:
        return Stored(records_so_far(self.store, Plan.read(self.store)))

    def _write(
        self,
        track: TrackInput,
        separated: Separated | BadInputError,
        writer: StoreWriter,
        unit: Unit,
    ) -> None:
        if isinstance(separated, BadInputError):
            raise separated
        with closing(separated):
            stamps = separated.stamps
            for stamp in stamps.values():
                if stamp.shortfall is not None:
                    warn_short(self.progress.warn, f"{track.id}: {stamp.name}", stamp.shortfall)
            if self.copies is not None and not self.copies.holds(track.id, stamps):
                self.copies.write(track.id, stamps, separated.copies, separated.sample_rate)
            planned = next(planned for planned in unit.tracks if planned.id == track.id)
            stores = self._stores(planned, writer)
            if not any(stored.made_from(track.id, stamps) for stored in stores):
                writer.add(track.id, stamps, separated.waveforms)
            self._seconds += len(next(iter(separated.waveforms.values()))) / SAMPLE_RATE

    def _fields(self, failed: int) -> dict[str, str]:
        speed = self._seconds / max(time.monotonic() - self._begun, 1e-9)
        return {"failed": str(len(self.failures) + failed), "times real time": f"{speed:.1f}"}

    def _seal(self) -> tuple[Plan | None, bool]:
        """The plan if it has unfinished units, and whether this worker sealed the store."""
        with store_lock(self.store) as lock:
            plan = Plan.read(self.store)
            if plan is None:
                return None, False
            done = plan.done(self.store)
            if len(done) < len(plan.units):
                return plan, False
            lock.require_held()
            records = failures_so_far(self.store, plan, done)
            failures = {failed.input: failed.reason for failed in records}
            self.sealed_failures = [*failures.items()]
            join(self.store, plan)
            return None, True


def failure_records(tracks: Sequence[TrackInput], failures: Failures) -> list[FailureRecord]:
    """Records of failed inputs, with the hash and duration of each file.

    Args:
        tracks: All inputs.
        failures: Ids of failed inputs, with reasons.
    """
    # Two tracks may have the same id; the second one then has a problem.
    by_problem = {(track.id, track.problem): track for track in tracks}
    records = []
    for name, reason in failures:
        track = by_problem.get((name, reason)) or by_problem[name, None]
        stamps = {role: _stamp(path) for role, path in track.files.items()}
        files = {role: stamp for role, stamp in stamps.items() if stamp is not None}
        records.append(FailureRecord(name, reason, files))
    return records


def _stamp(path: Path) -> FileStamp | None:
    try:
        stamp = FileStamp.of(path)
    except OSError:
        return None
    try:
        seconds, declared = durations(path)
    except Exception:  # the input has failed already, with a reason
        return stamp
    return replace(stamp, seconds=seconds, declared_seconds=declared)
