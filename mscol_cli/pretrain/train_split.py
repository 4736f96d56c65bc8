"""Which tracks of a store to train on: all, or only the clips that a probe task trains on.

Separating a whole data set once and pre-training on its training clips alone keeps the music of the
test clips out of the encoder.
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
