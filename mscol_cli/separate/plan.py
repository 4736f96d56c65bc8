"""Planning which units of a store get the tracks to separate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mscol_cli.audio.files import check_unique
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.separate.copies import Copies
from mscol_cli.separate.pending import PendingTracks, adds_tracks, compare_again, regular_files
from mscol_cli.store import FileStamp, SeparatorIdentity
from mscol_cli.store.arrays import open_levels
from mscol_cli.store.header import LEVELS, TRACKS, StoreHeader
from mscol_cli.store.joining import (
    failures_so_far,
    is_clean,
    records_so_far,
    revisions,
    store_lock,
)
from mscol_cli.store.plan import Plan
from mscol_cli.store.records import Stored, hashes
from mscol_cli.store.writer import find_header
from mscol_cli.system.units import counted


def make_plan(
    store: Path,
    tracks: Sequence[TrackInput],
    separator: Separator,
    identity: SeparatorIdentity,
    copies: Copies | None,
    progress: Progress | None,
    pending: PendingTracks,
    is_late: Callable[[PendingTracks], bool] = lambda _: False,
) -> tuple[Plan | None, PendingTracks]:
    """Plan of a store and the tracks to separate; writes nothing if there are none.

    The first process writes the plan. Other processes find all their inputs in it, and take no
    lock.

    Args:
        store: Folder of the store.
        tracks: All inputs.
        separator: The separator to run.
        identity: Its identity.
        copies: Listening copies to write; None without.
        progress: Receives notes about new, removed and renamed inputs; with None no file is hashed
            to find renamed ones.
        pending: Result of `find_pending`.
        is_late: Whether these tracks are left to other processes.

    Raises:
        UsageError: The folder contains other files, or a store made with other settings.
        MscolError: The plan or the store is damaged.
    """
    sources = (MIXTURE, *separator.sources)
    header = find_header(store, sources, identity)  # refuses other settings
    if progress is not None and header.sealed and adds_tracks(store, pending):
        progress.note(f"{store} gets new tracks: unfinished runs on it can no longer be resumed")
    if progress is not None and store.exists():
        _note_changes(Stored(records_so_far(store, pending.plan)), tracks, store, progress)
    while not is_late(pending):
        is_planned = pending.plan is not None and not pending.new
        if is_planned and revisions(store) == pending.revisions:
            return pending.plan, pending
        # Existing inputs that failed are retried. Other failures belong to removed inputs.
        gone = not pending.tracks and bool(failures_so_far(store, None))
        if not pending.tracks and not gone and is_clean(store):
            break
        with store_lock(store):
            if revisions(store) == pending.revisions:
                return _write_plan(store, header, pending, gone), pending
        # Another process has planned or sealed. The others need not wait for this comparison.
        pending = compare_again(store, pending, copies)
        header = find_header(store, sources, identity)
    return None, pending


def _write_plan(
    store: Path, header: StoreHeader, pending: PendingTracks, gone: bool
) -> Plan | None:
    plan = pending.plan
    if pending.new or (gone and plan is None):
        plan = (plan or _begin(store)).extended(pending.new, _next_shard(store))
        if not header.sealed:
            header.write(store)
        plan.write(store)
    return plan


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
        if not gone:
            break
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
    files = regular_files(track)
    try:
        size = tuple(sorted((role, path.stat().st_size) for role, path in files.items()))
        if size not in sizes:
            return None
        stamps = {role: FileStamp.of(path) for role, path in files.items()}
    except OSError:  # reported when the track is decoded
        return None
    return gone.pop(tuple(sorted(hashes(stamps).items())), None)


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
