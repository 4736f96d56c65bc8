"""Groups of clips that must share a split: by their paths, and by equal content."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path

from mscol_cli.api import file_hash
from mscol_tasks.splits import Clip

_BLOCK, _SHOWN = 4096, 3


def name_groups(clips: Sequence[Clip], pattern: re.Pattern[str] | None) -> list[str]:
    """Name the group of each clip: the part of its path below the class folder before a match.

    Args:
        clips: The clips.
        pattern: The pattern; None for no groups.

    Returns:
        The group of each clip; empty for a clip without such a part.
    """
    matches = [pattern.search(clip.below) if pattern else None for clip in clips]
    return [
        clip.below[: match.start()] if match else ""
        for clip, match in zip(clips, matches, strict=True)
    ]


def find_duplicates(clips: Sequence[Clip]) -> list[list[int]]:
    """Find clips with equal content, such as copies and links.

    Files are read only if others have the same size, and completely only if others also have the
    same bytes in their middle: uncompressed clips of one duration all have the same size. Empty
    files, and those that cannot be read, have no duplicates.

    Returns:
        The rows of each set of duplicates, ascending.
    """
    found = [list(range(len(clips)))]
    for key in (_size, _middle, file_hash):
        found = [same for rows in found for same in _equal(clips, rows, key)]
    return found


def merge(
    clips: Sequence[Clip], groups: Sequence[str], duplicates: Sequence[list[int]]
) -> list[str]:
    """Merge the groups of duplicates; arguments and result as in the other functions."""
    keys = [group or clip.id for clip, group in zip(clips, groups, strict=True)]
    merged: dict[str, str] = {}

    def name(key: str) -> str:
        while key in merged:
            key = merged[key]
        return key

    for rows in duplicates:
        first, *others = sorted({name(keys[row]) for row in rows})
        merged |= dict.fromkeys(others, first)
    names = [name(key) for key in keys]
    sizes = Counter(names)
    return [
        "" if sizes[name] == 1 and not group else name
        for name, group in zip(names, groups, strict=True)
    ]


def _equal(
    clips: Sequence[Clip], rows: Sequence[int], key: Callable[[Path], Hashable]
) -> Iterator[list[int]]:
    by_key: dict[Hashable, list[int]] = defaultdict(list)
    for row in rows:
        try:
            value = key(clips[row].path)
        except OSError:  # reported when the clip is decoded
            continue
        if value:
            by_key[value].append(row)
    return (same for same in by_key.values() if len(same) > 1)


def _size(path: Path) -> int:
    return path.stat().st_size


def _middle(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(path.stat().st_size // 2)
        return file.read(_BLOCK)


def duplicate_notes(duplicates: Sequence[Sequence[Clip]]) -> Iterator[str]:
    """Lines on files with equal content: how many, and those in several classes or splits."""
    if not duplicates:
        return
    count = sum(map(len, duplicates))
    yield f"files with the content of another file, grouped with it: {count}"
    classes = [same for same in duplicates if len({clip.label for clip in same}) > 1]
    splits = [same for same in duplicates if len({clip.split for clip in same}) > 1]
    for name, sets in (("classes", classes), ("splits", splits)):
        if sets:
            yield f"equal content in several {name} ({len(sets)}): {_names(sets)}"


def _names(sets: Sequence[Sequence[Clip]]) -> str:
    shown = [" and ".join(clip.id for clip in same[:_SHOWN]) for same in sets[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(sets) > _SHOWN else "")
