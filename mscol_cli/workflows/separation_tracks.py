"""Names of tracks that nothing else has and that stay inside a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mscol_cli.contracts.separator import TrackInput


def unique_ids(tracks: Sequence[TrackInput]) -> list[TrackInput]:
    """Tell tracks of one id apart by their suffix; those that still clash get a problem, and so
    does an id that is no relative path."""
    count = Counter(track.id for track in tracks)
    named = [_with_suffix(track) if count[track.id] > 1 else track for track in tracks]
    seen: set[str] = set()
    checked = []
    for track in named:
        if track.problem is None and track.id in seen:
            track = replace(track, problem=f"{track.id}: two tracks have this name; rename one")
        elif track.problem is None and not _is_safe(track.id):
            track = replace(track, problem=f"{track.id}: is no relative name; rename the file")
        seen.add(track.id)
        checked.append(track)
    return checked


def _with_suffix(track: TrackInput) -> TrackInput:
    suffixes = "+".join(path.suffix.lstrip(".") for path in track.files.values())
    return replace(track, id=f"{track.id}.{suffixes}")


def _is_safe(track_id: str) -> bool:
    return all(part not in ("", ".", "..") for part in track_id.split("/"))
