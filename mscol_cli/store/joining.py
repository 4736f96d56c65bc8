"""Joining finished units into a sealed store. After an interruption it can simply be repeated."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mscol_cli.errors import MscolError
from mscol_cli.store.arrays import GrowingArray, open_levels
from mscol_cli.store.header import FAILURES, HEADER, LEVELS, SHARDS, TRACKS, StoreHeader, shard_name
from mscol_cli.store.journal import whole_tracks
from mscol_cli.store.plan import PLAN, WORK, Plan, Unit, is_planned
from mscol_cli.store.records import (
    FailureRecord,
    TrackRecord,
    TrackSize,
    newest,
    read_failures,
    read_tracks,
    totals,
)
from mscol_cli.system.files import (
    file_hash,
    revision,
    sync,
    whole_lines,
    write_atomically,
    write_text,
)
from mscol_cli.system.locks import Lock
from mscol_cli.system.temporary import remove_leftovers, temporary_path
from mscol_cli.system.units import counted

_LOCK = ".lock"
Records = dict[str, TrackRecord]


class _Finished(NamedTuple):
    """A unit with the tracks that it has, and its inputs that failed."""

    unit: Unit
    records: Records
    failures: list[FailureRecord]

    @property
    def shard(self) -> str:
        """Path of its shard in the sealed store."""
        return shard_name(self.unit.number)


@contextmanager
def store_lock(store: Path) -> Iterator[Lock]:
    """Lock plan and header; waits for other processes. Raises MscolError without file locks."""
    store.mkdir(parents=True, exist_ok=True)
    with Lock(store / _LOCK, marked=True) as lock:
        if not _has_plan(store):  # units of a run that was killed during cleanup
            shutil.rmtree(store / WORK, ignore_errors=True)
        try:
            yield lock
        finally:
            if not is_planned(store):
                _clean(store)


def _has_plan(store: Path) -> bool:
    """Whether a store has a plan. The caller holds its lock.

    A client of NFS remembers for up to a minute that a file did not exist, also after another host
    has written it. Own changes of the folder make the client ask the server again.
    """
    if is_planned(store):
        return True
    (store / WORK).mkdir(exist_ok=True)
    probe = temporary_path(store / PLAN)
    probe.touch()
    probe.unlink()
    return is_planned(store)


def is_clean(store: Path) -> bool:
    """Whether no process is working here, and none was interrupted and left files."""
    return not any((store / name).exists() for name in (_LOCK, WORK))


def records_so_far(store: Path, plan: Plan | None) -> Records:
    """The newest record of each track, in the store and in units that are not yet joined."""
    size = plan.line_bytes if plan else whole_lines(store / TRACKS)
    records = newest(read_tracks(store / TRACKS, size))
    for unit in plan.units if plan else ():
        records |= _unit_records(store, unit)
    return records


def failures_so_far(
    store: Path, plan: Plan | None, done: Collection[int] | None = None
) -> list[FailureRecord]:
    """Inputs that could not be used: those of finished units, or without a plan of the store.

    Args:
        store: Folder of the store.
        plan: Its plan; None without.
        done: Numbers of the finished units; None if unknown.
    """
    if plan is None:
        return list(read_failures(store / FAILURES))
    done = plan.done(store) if done is None else done
    folders = [unit.folder(store) for unit in plan.units if unit.number in done]
    return [failure for folder in folders for failure in read_failures(folder / FAILURES)]


def revisions(store: Path) -> tuple[object, ...]:
    """Revisions of plan and header, which differ after a process has planned or sealed."""
    return revision(store / PLAN), revision(store / HEADER)


def join(store: Path, plan: Plan) -> StoreHeader | None:
    """Join the tracks of all units, which are done, into the store. The caller holds `store_lock`.

    Returns:
        The header of the sealed store; None if no track succeeded and the store was removed.
    """
    header = StoreHeader.read(store)
    units = [
        _Finished(
            unit, _unit_records(store, unit), list(read_failures(unit.folder(store) / FAILURES))
        )
        for unit in plan.units
    ]
    _require_all(store, units)
    failures, filled = _failures(units), [unit for unit in units if unit.records]
    if filled:
        header = replace(header, sealed=False)
        header.write(store)
        _take_shards(store, filled)
        _write_levels(store, plan, filled, len(header.sources))
        _write_tracks(store, plan, filled)
    elif not plan.line_bytes:
        (store / PLAN).unlink()
        (store / HEADER).unlink()
        return None
    _write_failures(store / FAILURES, failures)
    sealed = _sealed(store, plan, header, filled, len(failures))
    if sealed != StoreHeader.read(store):
        sealed.write(store)
        sync(store)
    (store / PLAN).unlink()
    return sealed


def _require_all(store: Path, units: Sequence[_Finished]) -> None:
    """Check that each planned track is in its unit, as a track or as a failure.

    Raises:
        MscolError: Some are not, as when processes write at once that locks should keep apart.
    """
    missing = []
    for unit, records, failures in units:
        tried = records.keys() | {failure.input for failure in failures}
        missing += [track.id for track in unit.tracks if not track.stored and track.id not in tried]
    if missing:
        raise MscolError(
            f"{counted(len(missing), 'planned track')} missing from {store}, such as {missing[0]}:"
            " file locks do not work on its file system; use -o on another one"
        )


def _unit_records(store: Path, unit: Unit) -> Records:
    return newest(whole_tracks(unit.folder(store) / TRACKS))


def _failures(units: Sequence[_Finished]) -> list[FailureRecord]:
    """The latest failures of each input, in the order of the plan."""
    latest: dict[tuple[str, str], FailureRecord] = {}
    for unit, _, failures in units:
        tried = {track.id for track in unit.tracks}
        latest = {key: failure for key, failure in latest.items() if key[0] not in tried}
        latest |= {(failure.input, failure.reason): failure for failure in failures}
    return list(latest.values())


def _take_shards(store: Path, filled: Sequence[_Finished]) -> None:
    (store / SHARDS).mkdir(exist_ok=True)
    for finished in filled:
        shard = finished.unit.folder(store) / shard_name(0)
        # A process that was interrupted here may have moved it already.
        if shard.exists():
            shard.replace(store / finished.shard)
    sync(store / SHARDS)


def _write_levels(store: Path, plan: Plan, filled: Sequence[_Finished], sources: int) -> None:
    path = store / LEVELS

    def write(temporary: Path) -> None:
        array = GrowingArray(temporary, np.float32, (sources, 2))
        if plan.level_rows:
            array.append(open_levels(path)[: plan.level_rows])
        for unit, records, _ in filled:
            levels = open_levels(unit.folder(store) / LEVELS)
            for record in records.values():
                array.append(levels[record.level_row :][: record.segments])
        array.finish()

    write_atomically(path, write)


def _write_tracks(store: Path, plan: Plan, filled: Sequence[_Finished]) -> None:
    path, row = store / TRACKS, plan.level_rows
    lines = [path.read_bytes()[: plan.line_bytes].decode()] if plan.line_bytes else []
    for unit, records, _ in filled:
        for record in records.values():
            lines.append(replace(record, shard=unit.number, level_row=row).to_line())
            row += record.segments
    write_text(path, "".join(lines))


def _write_failures(path: Path, failures: list[FailureRecord]) -> None:
    lines = "".join(failure.to_line() for failure in failures)
    if not path.exists() or path.read_text(encoding="utf-8") != lines:
        write_text(path, lines)


def _sealed(
    store: Path, plan: Plan, header: StoreHeader, filled: Sequence[_Finished], failed: int
) -> StoreHeader:
    shards = {name: value for name, value in header.checksums.items() if name.startswith(SHARDS)}
    for finished in filled:
        checksums = StoreHeader.read(finished.unit.folder(store)).checksums
        shards[finished.shard] = checksums[shard_name(0)]
    rest = {name: file_hash(store / name) for name in (LEVELS, TRACKS, FAILURES)}
    tracks = read_tracks(store / TRACKS)
    stored = {track.id: TrackSize(track.segments, track.samples) for track in tracks}
    planned = {track.id for unit in plan.units for track in unit.tracks}
    before = {track.id for track in read_tracks(store / TRACKS, plan.line_bytes)}
    return replace(
        header,
        sealed=True,
        checksums={**shards, **rest},
        inputs=len(planned | before),
        failures=failed,
        **totals(stored.values()),
    )


def _clean(store: Path) -> None:
    """Remove work files, and temporary files of interrupted processes."""
    shutil.rmtree(store / WORK, ignore_errors=True)
    remove_leftovers(store, locked=True)
    (store / _LOCK).unlink(missing_ok=True)
    if not any(store.iterdir()):
        store.rmdir()
