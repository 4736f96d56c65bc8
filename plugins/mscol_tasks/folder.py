"""The user's own data: a folder of audio per class."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
from mscol_tasks.groups import duplicate_notes, find_duplicates, merge, name_groups
from mscol_tasks.options import FolderOptions
from mscol_tasks.splits import Clip, assign_splits

if TYPE_CHECKING:
    from mscol_cli.api import AudioListing

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
BESIDE = "in no class folder"


class FolderTask(Task):
    """Classes are the names of folders, in alphabetical order.

    Layout: either `DATA/{train,valid,test}/CLASS/...`, or `DATA/CLASS/...` with a stratified split
    that depends on names and equal content only, not on the machine. Folders below a class folder,
    and links to folders, belong to the class. Files with the suffixes of `mscol separate` are used;
    the report counts the others. Files with equal content are in one split.
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
        clips = contents.clips
        named = self._name_groups(clips, folder)
        duplicates = find_duplicates(clips)
        classes = tuple(sorted({clip.label for clip in clips}))
        items = self._items(clips, classes, merge(clips, named, duplicates))
        notes = [
            *self._split_notes(clips, named, has_splits),
            *duplicate_notes([[clips[row] for row in rows] for rows in duplicates]),
            *_left_out_notes(contents.left_out),
            *absence_notes(classes, items),
        ]
        return TaskData(classes, items, notes=notes, failures=contents.failures)

    def _name_groups(self, clips: Sequence[Clip], folder: Path) -> list[str]:
        named = name_groups(clips, self.group)
        if self.group and not any(named):
            raise UsageError(
                f"option group of task 'folder': no path below the class folders of {folder} has a"
                f" part before a match of '{self.options.group}', such as '{clips[0].below}':"
                " change the pattern, or omit it."
            )
        return named

    def _items(
        self, clips: Sequence[Clip], classes: Sequence[str], groups: Sequence[str]
    ) -> list[TaskItem]:
        options = self.options
        splits = assign_splits(clips, options.valid, options.test, groups, options.seed)
        return [
            TaskItem(
                clip.id,
                clip.path,
                split,
                (classes.index(clip.label),),
                {"group": group} if group else {},
            )
            for clip, split, group in zip(clips, splits, groups, strict=True)
        ]

    def _split_notes(
        self, clips: Sequence[Clip], named: Sequence[str], has_splits: bool
    ) -> Iterator[str]:
        yield (
            "split by the folders train, valid and test"
            if has_splits
            else f"split by mscol with seed {self.options.seed}"
        )
        if self.group:
            alone = named.count("")
            rest = f"; files without a match, each a group of its own: {alone}" if alone else ""
            yield (
                "a group has the same part of the path below the class folder before"
                f" '{self.options.group}'{rest}"
            )
        elif not has_splits and any("/" in clip.below for clip in clips):
            yield (
                "files are in folders below the class folders: if these are artists or albums,"
                " --opt group=/ keeps each in one split"
            )


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
        split, label, below = _parts(file.name, has_splits)
        if label is None:
            beside.append(file.name)
        elif not is_file(file.path):
            failures.append((file.name, f"{file.path}: is not a readable file"))
        else:
            clips.append(Clip(file.name, root / file.name, label, below, split))
    clips.sort(key=lambda clip: (SPLITS.index(clip.split) if clip.split else 0, clip.path))
    return _Contents(clips, failures, {**listing.left_out, BESIDE: beside})


def _parts(name: str, has_splits: bool) -> tuple[Split | None, str | None, str]:
    """Split, class and path below the class folder, by the path of a file; class None outside of
    class folders."""
    split: Split | None = None
    if has_splits:
        first, _, name = name.partition("/")
        split = next((split for split in SPLITS if split == first), None)
    label, slash, below = name.partition("/")
    return split, label if slash and (split or not has_splits) else None, below


def _left_out_notes(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"left out, {reason}: {len(names)}, such as {names[0]}"
        for reason, names in left_out.items()
        if names
    ]
