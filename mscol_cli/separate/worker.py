"""A worker of `separate`: takes units until all are done; the last one seals the store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from mscol_cli.audio import durations
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.errors import BadInputError
from mscol_cli.separate.batching import Separated, separate_groups
from mscol_cli.separate.copies import Copies
from mscol_cli.store import SAMPLE_RATE, FailureRecord, FileStamp, SeparatorIdentity, StoreWriter
from mscol_cli.store.joining import join, store_lock
from mscol_cli.store.plan import Plan, PlannedTrack, Unit
from mscol_cli.system.files import existing_parent
from mscol_cli.system.locks import Lock

_PAUSE = 0.5
_ANY_SIZE = 1 << 62


@dataclass
class Worker:
    """What a process needs to fill units.

    Attributes:
        store: Folder of the store.
        separator: What separates.
        identity: What identifies it.
        copies: Listening copies; None where none are asked for.
        progress: Who watches.
        failures: Of this worker so far: inputs with the reason.
    """

    store: Path
    separator: Separator
    identity: SeparatorIdentity
    copies: Copies | None
    progress: Progress

    def __post_init__(self) -> None:
        self.failures: list[tuple[str, str]] = []
        self._begun, self._seconds = time.monotonic(), 0.0
        self._counted: set[int] = set()

    def run(self, plan: Plan, rank: int, workers: int, stored: int = 0) -> bool:
        """Fill units until all are done.

        A worker waits for the units of others, so that it takes over what one that dies leaves.

        Args:
            plan: Which units there are.
            rank: Of this worker; each begins elsewhere.
            workers: How many there are.
            stored: Tracks that are in the store already and in no unit.

        Returns:
            Whether this worker sealed the store.
        """
        total = stored + sum(len(unit.tracks) for unit in plan.units)
        self.progress.begin("separating", total, "tracks")
        self.progress.skip(stored)
        left: Plan | None = plan
        sealed = False
        # Another run may plan more while this one works.
        while left is not None:
            self._work_off(left, rank, workers)
            left, sealed = self._seal()
        self.progress.end()
        return sealed

    def _work_off(self, plan: Plan, rank: int, workers: int) -> None:
        """Fill units until all of this plan are done, or another worker has sealed."""
        first = rank * len(plan.units) // workers
        units = [*plan.units[first:], *plan.units[:first]]
        while units := self._undone_units(units):
            tried = [self._try(unit) for unit in units]
            if not any(tried):
                if Plan.read(self.store) is None:
                    break
                time.sleep(_PAUSE)

    def _undone_units(self, units: Sequence[Unit]) -> list[Unit]:
        """Those that are not done; the tracks of those that others have done, or an earlier run,
        are counted on the way."""
        done = {unit.number: len(unit.tracks) for unit in units if unit.is_done(self.store)}
        new = done.keys() - self._counted
        self.progress.skip(sum(done[number] for number in new))
        self._counted |= new
        return [unit for unit in units if unit.number not in done]

    def _try(self, unit: Unit) -> bool:
        """Fill a unit, unless another worker does."""
        lock = Lock(unit.lock(self.store))
        try:
            if not lock.take():
                return False
        except FileNotFoundError:  # joined and cleaned up by another
            return False
        with lock:
            if not unit.is_done(self.store):
                self._fill(unit)
        return True

    def _fill(self, unit: Unit) -> None:
        sources, folder = self.separator.sources, unit.folder(self.store)
        failures: list[tuple[str, str]] = []
        with StoreWriter(folder, sources, self.identity, _ANY_SIZE) as writer:
            groups = list(self._undone_groups(unit, writer))
            done = {track.id for track in unit.tracks if self._is_done(track, writer)}
            self.progress.skip(len(done))
            self._counted.add(unit.number)
            scratch = existing_parent(self.store)
            copied = self.copies is not None
            for track, separated in separate_groups(groups, self.separator, scratch, copied):
                try:
                    self._keep(track, separated, writer, unit)
                except BadInputError as error:
                    self.progress.warn(f"skipped {error}")
                    failures.append((track.id, str(error)))
                # One that was done before is separated again only for the others of its group.
                self.progress.advance(int(track.id not in done), **self._shown(len(failures)))
            inputs = [planned.to_input() for planned in unit.tracks]
            writer.seal(failure_records(inputs, failures))
        self.failures += failures

    def _undone_groups(self, unit: Unit, writer: StoreWriter) -> Iterator[Sequence[TrackInput]]:
        """A group with any track to do is done whole, so that its batches are what they were."""
        for group in unit.groups():
            inputs = [planned.to_input() for planned in group]
            if not all(self._is_done(planned, writer) for planned in group):
                yield inputs

    def _is_done(self, planned: PlannedTrack, writer: StoreWriter) -> bool:
        track, stored = planned.to_input(), writer.stored
        if planned.problem is not None or not stored.holds(track.id, track.files):
            return False
        return self.copies is None or self.copies.holds(track.id, stored.stamps(track.id))

    def _keep(
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
                    self.progress.warn(f"short {track.id}: {stamp.name}: {stamp.shortfall}")
            if self.copies is not None and not self.copies.holds(track.id, stamps):
                self.copies.write(track.id, stamps, separated.copies, separated.sample_rate)
            only_copies = any(one.id == track.id and one.stored for one in unit.tracks)
            if not only_copies and not writer.stored.made_from(track.id, stamps):
                writer.add(track.id, stamps, separated.waveforms)
            self._seconds += len(next(iter(separated.waveforms.values()))) / SAMPLE_RATE

    def _shown(self, failed: int) -> dict[str, str]:
        speed = self._seconds / max(time.monotonic() - self._begun, 1e-9)
        return {"failed": str(len(self.failures) + failed), "times real time": f"{speed:.1f}"}

    def _seal(self) -> tuple[Plan | None, bool]:
        """The plan if it has units that are not done, and whether this worker has sealed."""
        with store_lock(self.store):
            plan = Plan.read(self.store)
            if plan is None:
                return None, False
            if not all(unit.is_done(self.store) for unit in plan.units):
                return plan, False
            join(self.store, plan)
            return None, True


def failure_records(
    tracks: Sequence[TrackInput], failures: Sequence[tuple[str, str]]
) -> list[FailureRecord]:
    """The failures with the hash of each of their files, and how long those are.

    Args:
        tracks: All inputs.
        failures: Names of those that failed, with the reason.
    """
    # Of two tracks of one name the second failed, because of that.
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
    except Exception:  # it is a failure already, with a reason
        return stamp
    return replace(stamp, seconds=seconds, declared_seconds=declared)
