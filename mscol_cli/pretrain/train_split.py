"""Select the tracks of a store to train on: all, or the training clips of a probe task.

A data set can be separated once, and the encoder pre-trained without the music of its test clips.
"""

from __future__ import annotations

from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import UsageError
from mscol_cli.host import Registry, find_part
from mscol_cli.host.checks.task import load_task
from mscol_cli.probe.tasks import build_task, task_and_folder, track_id
from mscol_cli.recipes.options import PartsSettings
from mscol_cli.store import Store

ALL_TRACKS = PartsSettings.train_split


def select_tracks(
    store: Store, train_split: str, registry: Registry, progress: Progress
) -> list[str] | None:
    """Select the ids of the tracks to train on; None for all.

    Args:
        store: A store whose track ids are paths below the data set's folder, without suffix, as
            `mscol separate DIR` makes them.
        train_split: `all`, TASK or TASK=DIR.
        registry: The installed plugins.
        progress: Receives the number of tracks.

    Raises:
        UsageError: The task is unknown, or the store has none of its training clips.
        MissingDataError: The data set is missing.
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
    tracks = [track for track in store.index.track_ids if track in wanted]
    if not tracks:
        raise UsageError(
            f"{store.path} has none of the {len(wanted)} training clips of '{task}' in {root}:"
            f" make it with 'mscol separate {root}', or use --train-split {ALL_TRACKS}."
        )
    progress.note(
        f"{len(tracks):,} of {len(store.index.track_ids):,} tracks: training clips of '{task}'"
        f" ({len(wanted) - len(tracks):,} are not in the store)"
    )
    return tracks
