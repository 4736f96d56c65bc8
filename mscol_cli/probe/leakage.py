"""Leakage: groups that test and training clips share, and test clips seen in pre-training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mscol_cli.contracts.task import Split, TaskItem
from mscol_cli.engine.models import Model
from mscol_cli.errors import MscolError
from mscol_cli.probe.result import SharedGroups
from mscol_cli.recipes.options import PartsSettings
from mscol_cli.runs.tracks import chosen_tracks, count_chosen
from mscol_cli.store import Store
from mscol_cli.system.files import absolute_path, is_regular


def shared_groups(items: Mapping[Split, Sequence[TaskItem]]) -> Iterator[SharedGroups]:
    """Count the groups that test clips share with training clips, for each kind of group."""
    for kind in sorted({kind for item in items["test"] for kind in item.groups}):
        trained = {item.groups.get(kind) for item in items["train"]}
        tested = [item.groups[kind] for item in items["test"] if item.groups.get(kind)]
        shared = [group for group in tested if group in trained]
        yield SharedGroups(kind, len(set(tested)), len(set(shared)), len(tested), len(shared))


def overlap_note(model: Model, items: Sequence[TaskItem], task: str) -> Iterator[str]:
    """Yield a note if test clips were in the pre-training music.

    A clip counts if the run's store has a track whose id is the end of the clip's path, made from a
    file of the same size: the store may have been made from any folder above the clip. There is no
    note if the store is missing, or if the model has none or lacks the list of its tracks.
    """
    files = _files_of(model.run, model.info)
    test = [item for item in items if item.split == "test"]
    overlap = sum(_is_among(item.path, files) for item in test)
    if overlap:
        yield (
            f"{overlap} of {len(test)} test clips were in the pre-training music of this encoder,"
            f" without their labels: 'pretrain --train-split {task}' leaves them out"
        )


def store_note(model: Model, store: Store) -> Iterator[str]:
    """Yield a note if tracks of a store were in the pre-training music: of the same id and size."""
    files = _files_of(model.run, model.info)
    sizes = store.file_sizes()
    tracks = store.index.track_ids
    overlap = sum(bool(sizes[name] & files.get(name, set())) for name in tracks)
    if overlap:
        yield f"{overlap} of {len(tracks)} tracks were in the pre-training music of this encoder"


def _files_of(run: Path | None, info: Mapping[str, Any]) -> Mapping[str, set[int]]:
    """Sizes in bytes of the input files of each track, by track id; also of those that a run's
    initial weights were trained on."""
    files: dict[str, set[int]] = {}
    if initial := info.get("init"):
        files |= _files_of(Path(initial["run"]) if "run" in initial else None, initial)
    trained_on: Mapping[str, Any] | None = info.get("store")
    if run is None or trained_on is None:
        return files
    # A copied checkpoint may lack the list of tracks.
    everything = PartsSettings.train_split
    if info.get("train_split", everything) != everything and count_chosen(run) is None:
        return files
    try:
        store = Store.open(Path(trained_on["path"]))
        chosen = set(chosen_tracks(run, store).index.track_ids)
    except (MscolError, OSError):
        return files
    for name, sizes in store.file_sizes().items():
        if name in chosen:
            files[name] = files.get(name, set()) | sizes
    return files


def _is_among(path: Path, files: Mapping[str, set[int]]) -> bool:
    parts = absolute_path(path).with_suffix("").parts
    ends = ("/".join(parts[start:]) for start in range(len(parts) - 1, 0, -1))
    sizes = set().union(*(files[end] for end in ends if end in files))
    return bool(sizes) and is_regular(path) and path.stat().st_size in sizes
