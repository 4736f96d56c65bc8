"""Names of tracks that nothing else has and that stay inside a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mscol_cli.audio.files import clash
from mscol_cli.contracts.separator import TrackInput


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
