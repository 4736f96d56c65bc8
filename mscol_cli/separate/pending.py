"""Comparing inputs with a store and its unfinished units: what is still to be separated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mscol_cli.contracts.separator import TrackInput
from mscol_cli.errors import MissingDataError
from mscol_cli.separate.copies import Copies
from mscol_cli.separate.estimate import Music, survey
from mscol_cli.store import FailureRecord
from mscol_cli.store.header import HEADER
from mscol_cli.store.joining import failures_so_far, records_so_far, revisions
from mscol_cli.store.plan import WORK, Plan, PlannedTrack, is_planned
from mscol_cli.store.records import Stored, matches
from mscol_cli.system.files import is_regular


@dataclass(frozen=True)
class PendingTracks:
    """Tracks to separate.

    Attributes:
        tracks: Inputs missing from the store or its copies, including those of unfinished units.
        done: Number of inputs that are already in the store.
        new: Those of `tracks` that belong to no unit.
        wanted: All requested inputs.
        retry: Whether to retry inputs that failed in the current plan.
        stored: Ids of those of `tracks` that are in the store, so that only copies are missing.
        plan: The plan that the inputs were compared with; None without.
        revisions: Those of plan and header at that time.
    """

    tracks: list[TrackInput] = field(default_factory=list)
    done: int = 0
    new: list[PlannedTrack] = field(default_factory=list)
    wanted: list[TrackInput] = field(default_factory=list)
    retry: bool = False
    stored: frozenset[str] = frozenset()
    plan: Plan | None = None
    revisions: tuple[object, ...] = ()

    def outside(self, plan: Plan) -> int:
        """Number of inputs in no unit of a plan: those already in the store."""
        planned = {track.id for unit in plan.units for track in unit.tracks}
        return sum(track.id not in planned for track in self.wanted)

    @cached_property
    def music(self) -> Music:
        """Summary of the audio headers of `tracks`."""
        return survey(self.tracks)

    @cached_property
    def new_music(self) -> Music:
        """The same of those that the store does not have yet."""
        missing = [track for track in self.tracks if track.id not in self.stored]
        return survey(missing) if self.stored else self.music


def find_pending(
    store: Path, tracks: Sequence[TrackInput], copies: Copies | None, retry_failed: bool
) -> PendingTracks:
    """Compare inputs with the store and its unfinished units.

    Args:
        store: Folder of the store; may be missing.
        tracks: All inputs.
        copies: Listening copies to write; None without.
        retry_failed: Whether to select only inputs that failed in an earlier run.

    Raises:
        MissingDataError: `retry_failed` is set and the store does not exist.
        MscolError: The plan or the store is damaged.
    """
    if retry_failed and not (store / HEADER).exists():
        raise MissingDataError(f"{store} does not exist: leave out --retry-failed.")
    contents = _Contents.read(store, copies)
    if retry_failed:
        # The name of a folder that could not be listed ends in `/`.
        folders = tuple(name for name in contents.failed if name.endswith("/"))
        tracks = [
            track for track in tracks if track.id in contents.failed or track.id.startswith(folders)
        ]
    return _compare(contents, tracks, copies, retry_failed)


def compare_again(store: Path, pending: PendingTracks, copies: Copies | None) -> PendingTracks:
    """Repeat a comparison after another process has planned or sealed."""
    contents = _Contents.read(store, copies)
    return _compare(contents, pending.wanted, copies, pending.retry)


def has_only_retries(store: Path, pending: PendingTracks) -> bool:
    """Whether the store is sealed, and every pending input failed in it and has not changed."""
    if not pending.tracks or is_planned(store) or (store / WORK).exists():
        return False
    failed = {failure.input: failure for failure in failures_so_far(store, None)}
    return all(_tried(track, failed) for track in pending.tracks)


def adds_tracks(store: Path, pending: PendingTracks) -> bool:
    """Whether the store lacks pending tracks, other than those that failed in it."""
    failed = {failure.input: failure for failure in failures_so_far(store, None)}
    missing = [track for track in pending.tracks if track.id not in pending.stored]
    return any(track.problem is None and not _tried(track, failed) for track in missing)


class _Contents(NamedTuple):
    """What a store and its unfinished units hold.

    Attributes:
        revisions: Those of plan and header.
        plan: The plan; None without.
        done: Numbers of the units that are done.
        failed: Failures of these units, or without a plan of the store, by track id.
        stored: Tracks of the store and of all units.
    """

    revisions: tuple[object, ...]
    plan: Plan | None
    done: frozenset[int]
    failed: Mapping[str, FailureRecord]
    stored: Stored

    @staticmethod
    def read(store: Path, copies: Copies | None) -> _Contents:
        """Read a store, and its copies again. Raises MscolError."""
        # In this order: a unit that another worker finishes meanwhile counts as unfinished.
        before, plan = revisions(store), Plan.read(store)
        done = plan.done(store) if plan else frozenset[int]()
        failed = {failure.input: failure for failure in failures_so_far(store, plan, done)}
        stored = Stored(records_so_far(store, plan))
        if copies is not None:
            copies.refresh()
        return _Contents(before, plan, done, failed, stored)

    def planned(self) -> set[tuple[str, str | None]]:
        """Ids and problems of the tracks of unfinished units."""
        units = self.plan.units if self.plan else ()
        unfinished = [unit for unit in units if unit.number not in self.done]
        return {(track.id, track.problem) for unit in unfinished for track in unit.tracks}


def _compare(
    contents: _Contents, tracks: Sequence[TrackInput], copies: Copies | None, retry: bool
) -> PendingTracks:
    plan, stored, planned = contents.plan, contents.stored, contents.planned()
    pending, done, new, only_copies = [], 0, [], []
    for track in tracks:
        is_stored = track.problem is None and stored.holds(track.id, track.files)
        if is_stored and (copies is None or copies.holds(track.id, stored.stamps(track.id))):
            done += 1
            continue
        if is_stored:
            only_copies.append(track.id)
        if (track.id, track.problem) in planned:
            pending.append(track)
        elif plan is None or retry or not _tried(track, contents.failed):
            pending.append(track)
            new.append(PlannedTrack.of(track, is_stored))
    return PendingTracks(
        tracks=pending,
        done=done,
        new=new,
        wanted=list(tracks),
        retry=retry,
        stored=frozenset(only_copies),
        plan=plan,
        revisions=contents.revisions,
    )


def _tried(track: TrackInput, failed: Mapping[str, FailureRecord]) -> bool:
    """Whether this input failed in the current plan, unchanged: only a later run retries it."""
    record = failed.get(track.id)
    if record is None:
        return False
    return track.problem is not None or matches(record.files, regular_files(track))


def regular_files(track: TrackInput) -> dict[str, Path]:
    """Files of a track, by role, without pipes, devices and files that are missing."""
    return {role: path for role, path in track.files.items() if is_regular(path)}
