"""Which tracks of a store to train on: all, or only the clips that a probe task trains on.

Separating a whole data set once and pre-training on its training clips alone keeps the music of the
test clips out of the encoder.
"""

from __future__ import annotations

import json
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import UsageError
from mscol_cli.host import Registry, find_part
from mscol_cli.host.checks.task import load_task
from mscol_cli.store import Store
from mscol_cli.workflows.run_settings import ALL_TRACKS
from mscol_cli.workflows.task_data import build_task, task_and_folder

TRACKS = "tracks.txt"


def select_tracks(
    store: Store, train_split: str, registry: Registry, progress: Progress
) -> list[str] | None:
    """Ids of the tracks to train on; None for all.

    Args:
        store: Its track ids must be paths below the data set's folder, without suffix, as
            `mscol separate DIR` makes them.
        train_split: `all`, TASK or TASK=DIR.
        registry: What is installed.
        progress: Told how many there are.

    Raises:
        UsageError: No such task, or the store holds none of its training clips.
        MissingDataError: The data set is not there.
    """
    if train_split == ALL_TRACKS:
        return None
    task, root = task_and_folder(train_split)
    data = load_task(build_task(find_part(registry, "task", task)), root)
    if data.missing:
        progress.warn(
            f"{root}: clips of '{task}' without audio: {len(data.missing):,}, such as"
            f" {data.missing[0]}."
        )
    wanted = {track_id(item.path, root) for item in data.items if item.split == "train"}
    held = [track for track in store.index.track_ids if track in wanted]
    if not held:
        raise UsageError(
            f"{store.path} holds none of the {len(wanted)} training clips of '{task}' in {root}:"
            f" make it with 'mscol separate {root}', or use --train-split {ALL_TRACKS}."
        )
    progress.note(
        f"{len(held):,} of {len(store.index.track_ids):,} tracks: training clips of '{task}'"
        f" ({len(wanted) - len(held):,} are not in the store)"
    )
    return held


def track_id(path: Path, root: Path) -> str:
    """What `mscol separate ROOT` calls the track of a file; its whole path for one elsewhere."""
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return inside.with_suffix("").as_posix()


def tracks_file(ids: list[str] | None) -> dict[str, str]:
    """Name and text of the file that keeps the choice, for every process and every resume: an id a
    line, as a JSON string where it is not printable (a name that is not UTF-8, a line end)."""
    return {} if ids is None else {TRACKS: "".join(f"{_to_line(track)}\n" for track in ids)}


def chosen_tracks(run: Path, store: Store) -> Store:
    """A run's store as the run sees it."""
    path = run / TRACKS
    if not path.exists():
        return store
    return store.only(map(_from_line, path.read_text(encoding="utf-8").splitlines()))


def _to_line(track: str) -> str:
    return track if track.isprintable() and not track.startswith('"') else json.dumps(track)


def _from_line(line: str) -> str:
    return str(json.loads(line)) if line.startswith('"') else line
