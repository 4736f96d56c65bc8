"""The tracks of a store that a run trains on, recorded in the run folder."""

from __future__ import annotations

import json
from pathlib import Path

from mscol_cli.store import Store
from mscol_cli.system.files import write_text

CHOSEN_TRACKS = "tracks.txt"


def tracks_file(ids: list[str] | None) -> dict[str, str]:
    """Name and text of the file that lists the tracks, for every process and every resume.

    Each line is an id, as a JSON string if it is not printable (invalid UTF-8, a line end).
    """
    return {} if ids is None else {CHOSEN_TRACKS: "".join(f"{_to_line(track)}\n" for track in ids)}


def chosen_tracks(run: Path, store: Store) -> Store:
    """The store of a run, restricted to its training tracks."""
    path = run / CHOSEN_TRACKS
    if not path.exists():
        return store
    return store.only(map(_from_line, path.read_text(encoding="utf-8").splitlines()))


def copy_chosen(run: Path, folder: Path) -> None:
    """Copy the list of the tracks that a run trains on to a model made from it."""
    (folder / CHOSEN_TRACKS).unlink(missing_ok=True)
    if (run / CHOSEN_TRACKS).exists():
        write_text(folder / CHOSEN_TRACKS, (run / CHOSEN_TRACKS).read_text(encoding="utf-8"))


def count_chosen(run: Path) -> int | None:
    """Number of tracks that a run trains on; None for all tracks of its store."""
    path = run / CHOSEN_TRACKS
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else None


def _to_line(track: str) -> str:
    return track if track.isprintable() and not track.startswith('"') else json.dumps(track)


def _from_line(line: str) -> str:
    return str(json.loads(line)) if line.startswith('"') else line
