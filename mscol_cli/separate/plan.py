"""What is to be separated: inputs, under unique ids, against what a store holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mscol_cli.audio.files import clash
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.separate.copies import Copies
from mscol_cli.separate.estimate import Music, survey
from mscol_cli.store import FailureRecord, FileStamp, SeparatorIdentity
from mscol_cli.store.header import LEVELS, TRACKS
from mscol_cli.store.joining import failures_so_far, is_clean, records_so_far, store_lock
from mscol_cli.store.plan import Plan, PlannedTrack
from mscol_cli.store.records import Stored, hashes, matches
from mscol_cli.store.writer import find_header
from mscol_cli.system.files import is_regular


@dataclass(frozen=True)
class PendingTracks:
    """What there is to do.

    Attributes:
        tracks: Inputs that are not in the store yet, or have no copies, those of units that were
            begun among them.
        done: Inputs that are.
        new: Of `tracks`, those that no unit has.
        wanted: All inputs that were asked for.
        again: Whether those that the plan has tried are to be tried again.
    """

    tracks: list[TrackInput] = field(default_factory=list)
    done: int = 0
    new: list[PlannedTrack] = field(default_factory=list)
    wanted: list[TrackInput] = field(default_factory=list)
    again: bool = False

    def outside(self, plan: Plan) -> int:
        """How many of the inputs no unit of a plan has: the store holds them."""
        planned = {track.id for unit in plan.units for track in unit.tracks}
        return sum(track.id not in planned for track in self.wanted)

    @cached_property
    def music(self) -> Music:
        """What the headers of the tracks say."""
        return survey(self.tracks)

    @property
    def hours(self) -> float | None:
        """Of music to be separated; None where no header says."""
        return self.music.hours


def find_pending(
    store: Path, tracks: Sequence[TrackInput], copies: Copies | None, retry_failed: bool
) -> PendingTracks:
    """Compare inputs with what is in the store and in units that were begun.

    Args:
        store: Folder, which need not be there.
        tracks: All inputs.
        copies: Listening copies that shall be there, too.
        retry_failed: Whether only inputs are wanted that failed before.

    Raises:
        MscolError: The plan or the store is damaged.
    """
    if retry_failed:
        failed = {failure.input for failure in failures_so_far(store, Plan.read(store))}
        # A folder that could not be listed has a name that ends in `/`.
        folders = tuple(name for name in failed if name.endswith("/"))
        tracks = [track for track in tracks if track.id in failed or track.id.startswith(folders)]
    return _compare(store, tracks, copies, retry_failed)


def make_plan(
    store: Path,
    tracks: Sequence[TrackInput],
    separator: Separator,
    identity: SeparatorIdentity,
    copies: Copies | None,
    progress: Progress,
    found: PendingTracks,
) -> tuple[Plan | None, PendingTracks]:
    """The plan of a store, and what there is to do by it; nothing is written where that is nothing.

    Whoever comes first writes it; others find all their inputs in it.

    Args:
        store: Folder of the store.
        tracks: All inputs.
        separator: What separates them.
        identity: What identifies it.
        copies: Listening copies.
        progress: Who is told of inputs that are gone.
        found: What there was to do a moment ago.

    Raises:
        UsageError: The folder holds something else, or a store made otherwise.
        MscolError: The plan or the store is damaged.
    """
    header = find_header(store, (MIXTURE, *separator.sources), identity)
    if store.exists():
        stored = Stored(records_so_far(store, Plan.read(store)))
        _tell_changes(stored, tracks, store, progress)
    # Failures of inputs that are there are tried again: any others are of inputs that are gone.
    gone = bool(failures_so_far(store, None)) and not found.tracks
    if not found.tracks and not gone and is_clean(store):
        return None, found
    with store_lock(store):
        # Another process may have planned or finished since.
        todo = _compare(store, found.wanted, copies, found.again)
        plan = Plan.read(store)
        if todo.new or (gone and plan is None):
            plan = (plan or _begin(store)).extended(todo.new, _next_shard(store))
            if not header.sealed:
                header.write(store)
            plan.write(store)
    return plan, todo


def _compare(
    store: Path, tracks: Sequence[TrackInput], copies: Copies | None, again: bool
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
    todo, done, new = [], 0, []
    for track in tracks:
        is_stored = track.problem is None and stored.holds(track.id, track.files)
        if is_stored and (copies is None or copies.holds(track.id, stored.stamps(track.id))):
            done += 1
        elif (track.id, track.problem) in planned:
            todo.append(track)
        elif plan is None or again or not _tried(track, failed):
            todo.append(track)
            new.append(PlannedTrack.of(track, is_stored))
    return PendingTracks(todo, done, new, list(tracks), again)


def _tried(track: TrackInput, failed: Mapping[str, FailureRecord]) -> bool:
    """Whether a unit of the plan has tried this very input: it is for a later run to try again."""
    record = failed.get(track.id)
    if record is None:
        return False
    there = {role: path for role, path in track.files.items() if is_regular(path)}
    return track.problem is not None or matches(record.files, there)


def _tell_changes(
    stored: Stored, tracks: Sequence[TrackInput], store: Path, progress: Progress
) -> None:
    """Say which tracks of the store no input has, and which of them only have another name."""
    ids = {track.id for track in tracks}
    removed = sorted(stored.tracks - ids)
    if not removed:
        return
    gone = {key: name for key, name in stored.by_content().items() if name in set(removed)}
    sizes = {tuple(sorted(_sizes(stored, name))) for name in removed}
    for track in tracks:
        if track.problem is None and track.id not in stored.tracks:
            name = _renamed(track, gone, sizes)
            if name is not None:
                progress.note(f"{track.id} has the content of {name}, which is no input any more")
                removed.remove(name)
    if removed:
        progress.note(
            f"{len(removed)} tracks of {store} are not among the inputs and stay in it, such as"
            f" {removed[0]}"
        )


def _renamed(
    track: TrackInput,
    gone: dict[tuple[tuple[str, str], ...], str],
    sizes: set[tuple[tuple[str, int], ...]],
) -> str | None:
    """The removed track that has this input's content; files of other sizes are not read."""
    there = {role: path for role, path in track.files.items() if is_regular(path)}
    try:
        size = tuple(sorted((role, path.stat().st_size) for role, path in there.items()))
        if size not in sizes:
            return None
        stamps = {role: FileStamp.of(path) for role, path in there.items()}
    except OSError:  # reported when it is decoded
        return None
    return gone.pop(tuple(sorted(hashes(stamps).items())), None)


def _sizes(stored: Stored, track_id: str) -> list[tuple[str, int]]:
    return [(role, stamp.size) for role, stamp in stored.stamps(track_id).items()]


def _begin(store: Path) -> Plan:
    tracks, levels = store / TRACKS, store / LEVELS
    lines = tracks.stat().st_size if tracks.exists() else 0
    return Plan(lines, len(np.load(levels, mmap_mode="r")) if lines else 0)


def _next_shard(store: Path) -> int:
    records = records_so_far(store, None).values()
    return 1 + max((record.shard for record in records), default=-1)


def unique_ids(tracks: Sequence[TrackInput]) -> list[TrackInput]:
    """Tell tracks of one id apart by their suffix; an id that is no relative path is a problem.

    Raises:
        UsageError: Two tracks still have one id.
    """
    count = Counter(track.id for track in tracks)
    named = [_with_suffix(track) if count[track.id] > 1 else track for track in tracks]
    _check_unique([track for track in named if track.problem is None])
    return [_checked(track) for track in named]


def _check_unique(tracks: Sequence[TrackInput]) -> None:
    seen: dict[str, Path] = {}
    for track in tracks:
        path = next(iter(track.files.values()), Path(track.id))
        if track.id in seen:
            raise clash(track.id, seen[track.id], path)
        seen[track.id] = path


def _checked(track: TrackInput) -> TrackInput:
    if track.problem is None and not _is_safe(track.id):
        return replace(track, problem=f"{track.id}: is no relative name; rename the file")
    return track


def _with_suffix(track: TrackInput) -> TrackInput:
    suffixes = "+".join(path.suffix.lstrip(".") for path in track.files.values())
    return replace(track, id=f"{track.id}.{suffixes}")


def _is_safe(track_id: str) -> bool:
    return all(part not in ("", ".", "..") for part in track_id.split("/"))
