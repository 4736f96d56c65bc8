"""Comparing inputs with a store to find the tracks to separate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mscol_cli.audio.files import check_unique
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.errors import MissingDataError
from mscol_cli.separate.copies import Copies
from mscol_cli.separate.estimate import Music, survey
from mscol_cli.store import FailureRecord, FileStamp, SeparatorIdentity
from mscol_cli.store.arrays import open_levels
from mscol_cli.store.header import HEADER, LEVELS, TRACKS
from mscol_cli.store.joining import failures_so_far, is_clean, records_so_far, store_lock
from mscol_cli.store.plan import WORK, Plan, PlannedTrack
from mscol_cli.store.records import Stored, hashes, matches
from mscol_cli.store.writer import find_header
from mscol_cli.system.files import is_regular
from mscol_cli.system.units import counted


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
    """

    tracks: list[TrackInput] = field(default_factory=list)
    done: int = 0
    new: list[PlannedTrack] = field(default_factory=list)
    wanted: list[TrackInput] = field(default_factory=list)
    retry: bool = False
    stored: frozenset[str] = frozenset()

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
    if retry_failed:
        if not (store / HEADER).exists():
            raise MissingDataError(f"{store} does not exist: leave out --retry-failed.")
        failed = {failure.input for failure in failures_so_far(store, Plan.read(store))}
        # The name of a folder that could not be listed ends in `/`.
        folders = tuple(name for name in failed if name.endswith("/"))
        tracks = [track for track in tracks if track.id in failed or track.id.startswith(folders)]
    return _compare(store, tracks, copies, retry_failed)


def has_only_retries(store: Path, pending: PendingTracks) -> bool:
    """Whether the store is sealed, and every pending input failed in it and has not changed."""
    if not pending.tracks or Plan.read(store) is not None or (store / WORK).exists():
        return False
    failed = {failure.input: failure for failure in failures_so_far(store, None)}
    return all(_tried(track, failed) for track in pending.tracks)


def make_plan(
    store: Path,
    tracks: Sequence[TrackInput],
    separator: Separator,
    identity: SeparatorIdentity,
    copies: Copies | None,
    progress: Progress,
    pending: PendingTracks,
    is_late: Callable[[PendingTracks], bool] = lambda _: False,
) -> tuple[Plan | None, PendingTracks]:
    """Plan of a store and the tracks to separate; writes nothing if there are none.

    The first process writes the plan. Other processes find all their inputs in it.

    Args:
        store: Folder of the store.
        tracks: All inputs.
        separator: The separator to run.
        identity: Its identity.
        copies: Listening copies to write; None without.
        progress: Receives notes about removed and renamed inputs.
        pending: Result of `find_pending`.
        is_late: Whether these tracks are left to other processes.

    Raises:
        UsageError: The folder contains other files, or a store made with other settings.
        MscolError: The plan or the store is damaged.
    """
    find_header(store, (MIXTURE, *separator.sources), identity)  # refuses other settings
    if store.exists():
        stored = Stored(records_so_far(store, Plan.read(store)))
        _note_changes(stored, tracks, store, progress)
    # Existing inputs that failed are retried. Other failures belong to removed inputs.
    gone = bool(failures_so_far(store, None)) and not pending.tracks
    if is_late(pending) or (not pending.tracks and not gone and is_clean(store)):
        return None, pending
    with store_lock(store):
        # Another process may have planned, sealed or written copies since.
        header = find_header(store, (MIXTURE, *separator.sources), identity)
        if copies is not None:
            copies.refresh()
        pending = _compare(store, pending.wanted, copies, pending.retry)
        if is_late(pending):
            return None, pending
        plan = Plan.read(store)
        if pending.new or (gone and plan is None):
            plan = (plan or _begin(store)).extended(pending.new, _next_shard(store))
            if not header.sealed:
                header.write(store)
            plan.write(store)
    return plan, pending


def _compare(
    store: Path, tracks: Sequence[TrackInput], copies: Copies | None, retry: bool
) -> PendingTracks:
    plan = Plan.read(store)
    stored = Stored(records_so_far(store, plan))
    failed = {failure.input: failure for failure in failures_so_far(store, plan)}
    planned = {
        (track.id, track.problem)
        for unit in (plan.units if plan else ())
        if not unit.is_done(store)
        for track in unit.tracks
    }
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
        elif plan is None or retry or not _tried(track, failed):
            pending.append(track)
            new.append(PlannedTrack.of(track, is_stored))
    return PendingTracks(pending, done, new, list(tracks), retry, frozenset(only_copies))


def _tried(track: TrackInput, failed: Mapping[str, FailureRecord]) -> bool:
    """Whether this input failed in the current plan, unchanged: only a later run retries it."""
    record = failed.get(track.id)
    if record is None:
        return False
    return track.problem is not None or matches(record.files, _regular_files(track))


def _note_changes(
    stored: Stored, tracks: Sequence[TrackInput], store: Path, progress: Progress
) -> None:
    """Print which tracks of the store are no longer among the inputs, and which were renamed."""
    removed = dict.fromkeys(sorted(stored.tracks - {track.id for track in tracks}))
    if not removed:
        return
    gone = {key: name for key, name in stored.by_content().items() if name in removed}
    sizes = {tuple(sorted(_sizes(stored, name))) for name in removed}
    for track in tracks:
        if track.problem is None and track.id not in stored.tracks:
            name = _renamed(track, gone, sizes)
            if name is not None:
                progress.note(f"{track.id} has the content of {name}, which is no longer an input")
                del removed[name]
    if removed:
        progress.note(
            f"{store} keeps {counted(len(removed), 'track')} not among the inputs, such as"
            f" {next(iter(removed))}"
        )


def _renamed(
    track: TrackInput,
    gone: dict[tuple[tuple[str, str], ...], str],
    sizes: set[tuple[tuple[str, int], ...]],
) -> str | None:
    """The removed track with the content of this input; files of other sizes are not read."""
    files = _regular_files(track)
    try:
        size = tuple(sorted((role, path.stat().st_size) for role, path in files.items()))
        if size not in sizes:
            return None
        stamps = {role: FileStamp.of(path) for role, path in files.items()}
    except OSError:  # reported when the track is decoded
        return None
    return gone.pop(tuple(sorted(hashes(stamps).items())), None)


def _regular_files(track: TrackInput) -> dict[str, Path]:
    return {role: path for role, path in track.files.items() if is_regular(path)}


def _sizes(stored: Stored, track_id: str) -> list[tuple[str, int]]:
    return [(role, stamp.size) for role, stamp in stored.stamps(track_id).items()]


def _begin(store: Path) -> Plan:
    tracks, levels = store / TRACKS, store / LEVELS
    lines = tracks.stat().st_size if tracks.exists() else 0
    return Plan(lines, len(open_levels(levels)) if lines else 0)


def _next_shard(store: Path) -> int:
    records = records_so_far(store, None).values()
    return 1 + max((record.shard for record in records), default=-1)


def unique_ids(tracks: Sequence[TrackInput]) -> list[TrackInput]:
    """Append the file suffix to duplicate ids. An id that is not a relative path is a problem.

    Raises:
        UsageError: Two tracks still have the same id.
    """
    count = Counter(track.id for track in tracks)
    renamed = [_with_suffix(track) if count[track.id] > 1 else track for track in tracks]
    usable = [track for track in renamed if track.problem is None]
    check_unique((track.id, next(iter(track.files.values()), Path(track.id))) for track in usable)
    return [_checked(track) for track in renamed]


def _checked(track: TrackInput) -> TrackInput:
    is_safe = all(part not in ("", ".", "..") for part in track.id.split("/"))
    if track.problem is None and not is_safe:
        return replace(track, problem=f"{track.id}: not a relative path; rename the file")
    return track


def _with_suffix(track: TrackInput) -> TrackInput:
    suffixes = "+".join(path.suffix.lstrip(".") for path in track.files.values())
    return replace(track, id=f"{track.id}.{suffixes}")
