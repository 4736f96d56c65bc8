"""Your own data: a folder of audio per class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.api import (
    MissingDataError,
    ProbeProtocol,
    Split,
    Task,
    TaskData,
    TaskItem,
    UsageError,
    option,
)
from mscol_tasks.files import SUFFIXES, absence_notes
from mscol_tasks.splits import Clip, assign_splits

SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class FolderOptions:
    """Options of `folder`; they matter only when DATA has no train, valid and test folders."""

    valid: float = option(0.15, "share of the clips that validate", minimum=0.01, maximum=0.4)
    test: float = option(0.2, "share of the clips that test", minimum=0.01, maximum=0.4)
    group: str = option(
        "", "regular expression: files alike before its match stay in one split; empty for none"
    )
    seed: int = option(0, "another seed makes another split", minimum=0)


class FolderTask(Task):
    """Classes are the names of folders, in alphabetical order.

    Layout: either `DATA/{train,valid,test}/CLASS/...`, or `DATA/CLASS/...`, which is then split
    here: stratified, the same for the same names whatever the machine. Folders below a class
    folder belong to the class; hidden files and files that are no audio are passed over.
    """

    protocol = ProbeProtocol(learning_rate=5e-4)

    def __init__(self, options: FolderOptions) -> None:
        self.options = options
        self.group = _pattern(options.group)

    def load(self, folder: Path) -> TaskData:
        """List the class folders and split them."""
        if not folder.is_dir():
            raise MissingDataError(f"{folder} is no folder: give --data a folder of class folders.")
        if _has_splits(folder):
            clips = [clip for split in SPLITS for clip in _clips(folder, folder / split, split)]
            notes = ["split as the folders train, valid and test have it"]
        else:
            clips = _clips(folder, folder, None)
            notes = [self._split_note()]
        if not clips:
            raise MissingDataError(
                f"{folder} has no folder with audio in it: put the clips of each class in one."
            )
        classes = tuple(sorted({clip.label for clip in clips}))
        items = self._items(clips, classes)
        return TaskData(classes, items, (), [*notes, *absence_notes(classes, items)])

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
        rule = f", by what file names have before '{self.options.group}'"
        return f"split by mscol with seed {self.options.seed}{rule if self.options.group else ''}"


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise UsageError(
            f"option group of task 'folder' is no regular expression ({error}): '{text}'."
        ) from None


def _has_splits(folder: Path) -> bool:
    present = [split for split in SPLITS if (folder / split).is_dir()]
    if 0 < len(present) < len(SPLITS) and any(
        child.is_dir() for split in present for child in (folder / split).iterdir()
    ):
        absent = ", ".join(split for split in SPLITS if split not in present)
        raise MissingDataError(f"{folder} has a folder {present[0]} but lacks {absent}: add it.")
    return len(present) == len(SPLITS)


def _clips(root: Path, folder: Path, split: Split | None) -> list[Clip]:
    return [
        Clip(path.relative_to(root).as_posix(), path, path.relative_to(folder).parts[0], split)
        for path in sorted(folder.glob("*/**/*"))
        if path.suffix.lower() in SUFFIXES and path.is_file() and not _hidden(path, folder)
    ]


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
