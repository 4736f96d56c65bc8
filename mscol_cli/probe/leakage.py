"""Test clips an encoder or a probe may know: shared groups, and music it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mscol_cli.contracts.task import Split, TaskItem
from mscol_cli.engine.models import Model
from mscol_cli.errors import MscolError
from mscol_cli.probe.result import SharedGroups
from mscol_cli.probe.tasks import track_id
from mscol_cli.runs.tracks import chosen_tracks
from mscol_cli.store import Store
from mscol_cli.system.files import is_regular


def shared_groups(items: Mapping[Split, Sequence[TaskItem]]) -> Iterator[SharedGroups]:
    """For each kind of group that the task names, what test clips share with training clips."""
    for kind in sorted({kind for item in items["test"] for kind in item.groups}):
        trained = {item.groups.get(kind) for item in items["train"]}
        tested = [item.groups[kind] for item in items["test"] if kind in item.groups]
        shared = [group for group in tested if group in trained]
        yield SharedGroups(kind, len(set(tested)), len(set(shared)), len(tested), len(shared))


def overlap_note(model: Model, items: Sequence[TaskItem], root: Path, task: str) -> list[str]:
    """A line for the report when test clips were among the music of pre-training.

    A clip counts when the run's store has a track of its path below `root`, made of a file of its
    size. A store that is gone, or an encoder without one, gives no line.
    """
    files = _files_of(model)
    test = [item for item in items if item.split == "test"]
    heard = sum(_is_among(item.path, root, files) for item in test)
    if not heard:
        return []
    return [
        f"{heard} of {len(test)} test clips were among the music that this encoder was pre-trained"
        f" on, without their labels: 'pretrain --train-split {task}' leaves them out"
    ]


def _files_of(model: Model) -> Mapping[str, set[int]]:
    """By track id, the sizes in bytes of the files it was made of."""
    held: Mapping[str, Any] | None = model.info.get("store")
    if model.run is None or held is None:
        return {}
    try:
        store = Store.open(Path(held["path"]))
    except MscolError:
        return {}
    wanted = set(chosen_tracks(model.run, store).index.track_ids)
    return {name: sizes for name, sizes in store.file_sizes().items() if name in wanted}


def _is_among(path: Path, root: Path, files: Mapping[str, set[int]]) -> bool:
    name = track_id(path, root)
    return name in files and is_regular(path) and path.stat().st_size in files[name]
