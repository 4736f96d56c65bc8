"""The user's own data: a folder of audio per class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mscol_cli.api import (
    MissingDataError,
    ProbeProtocol,
    Split,
    Task,
    TaskData,
    TaskItem,
    UsageError,
)
from mscol_tasks.files import absence_notes, is_file
from mscol_tasks.options import FolderOptions
from mscol_tasks.splits import Clip, assign_splits

if TYPE_CHECKING:
    from mscol_cli.api import AudioListing

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
BESIDE = "in no class folder"


class FolderTask(Task):
    """Classes are the names of folders, in alphabetical order.

    Layout: either `DATA/{train,valid,test}/CLASS/...`, or `DATA/CLASS/...` with a stratified split
    that depends on names only, not on the machine. Folders below a class folder, and links to
    folders, belong to the class. Files with the suffixes of `mscol separate` are used; the report
    counts the others.
    """

    protocol = ProbeProtocol(learning_rate=5e-4)

    def __init__(self, options: FolderOptions) -> None:
        self.options = options
        self.group = _pattern(options.group)

    def load(self, folder: Path) -> TaskData:
        """List the class folders and split them."""
        # Imported here: cards are read without loading audio libraries.
        from mscol_cli.api import find_audio

        if not folder.is_dir():
            raise MissingDataError(
                f"{folder} is not a folder: set --data to a folder of class folders."
            )
        has_splits = _has_splits(folder)
        listing = find_audio([folder])
        contents = _find_clips(folder, listing, has_splits)
        if not contents.clips:
            raise MissingDataError(
                f"{folder} has no folder with audio: put the clips of each class in one."
            )
        classes = tuple(sorted({clip.label for clip in contents.clips}))
        items = self._items(contents.clips, classes)
        how = "split by the folders train, valid and test"
        notes = [
            how if has_splits else self._split_note(),
            *_left_out_notes(contents.left_out),
            *absence_notes(classes, items),
        ]
        return TaskData(classes, items, notes=notes, failures=contents.failures)

    def _items(self, clips: Sequence[Clip], classes: Sequence[str]) -> list[TaskItem]:
        splits = assign_splits(
            clips, self.options.valid, self.options.test, self.group, self.options.seed
        )
        return [
            TaskItem(clip.id, clip.path, split, (classes.index(clip.label),), self._groups(clip))
            for clip, split in zip(clips, splits, strict=True)
        ]

    def _groups(self, clip: Clip) -> dict[str, str]:
        name = clip.path.name
        return {"group": self.group.split(name, maxsplit=1)[0]} if self.group else {}

    def _split_note(self) -> str:
        rule = f", grouped by the part of file names before '{self.options.group}'"
        return f"split by mscol with seed {self.options.seed}{rule if self.options.group else ''}"


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise UsageError(
            f"option group of task 'folder' is not a regular expression ({error}): '{text}'."
        ) from None


def _has_splits(folder: Path) -> bool:
    present = [split for split in SPLITS if (folder / split).is_dir()]
    if 0 < len(present) < len(SPLITS) and any(
        child.is_dir() for split in present for child in (folder / split).iterdir()
    ):
        absent = ", ".join(split for split in SPLITS if split not in present)
        raise MissingDataError(f"{folder} has a folder {present[0]} but lacks {absent}: add it.")
    return len(present) == len(SPLITS)


@dataclass(frozen=True)
class _Contents:
    """Clips in the order of their paths, files that failed, and files left out by reason."""

    clips: Sequence[Clip]
    failures: Sequence[tuple[str, str]]
    left_out: Mapping[str, Sequence[str]]


def _find_clips(root: Path, listing: AudioListing, has_splits: bool) -> _Contents:
    clips: list[Clip] = []
    failures = list(listing.failures)
    beside: list[str] = []
    for file in listing.files:
        split, label = _split_and_class(file.name, has_splits)
        if label is None:
            beside.append(file.name)
        elif not is_file(file.path):
            failures.append((file.name, f"{file.path}: is not a readable file"))
        else:
            clips.append(Clip(file.name, root / file.name, label, split))
    clips.sort(key=lambda clip: (SPLITS.index(clip.split) if clip.split else 0, clip.path))
    return _Contents(clips, failures, {**listing.left_out, BESIDE: beside})


def _split_and_class(name: str, has_splits: bool) -> tuple[Split | None, str | None]:
    """Split and class of a file by its path; class None outside of class folders."""
    folders = name.split("/")[:-1]
    if not has_splits:
        return None, folders[0] if folders else None
    split = next((split for split in SPLITS if folders[:1] == [split]), None)
    return split, folders[1] if split and len(folders) > 1 else None


def _left_out_notes(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"left out, {reason}: {len(names)}, such as {names[0]}"
        for reason, names in left_out.items()
        if names
    ]
