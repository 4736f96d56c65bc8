"""Helpers of all data sets: read JSON, find audio files, list missing ones."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mscol_cli.api import BadInputError, MissingDataError, TaskItem


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object, in UTF-8 with or without a byte order mark.

    Raises:
        MissingDataError: The file is missing.
        BadInputError: The file is not a JSON object, or repeats a key with different values.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingDataError(f"{path} is missing: unpack the data set's metadata.") from None
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except _RepeatedKeyError as error:
        where = json_position(path, error.key, error.key)
        raise BadInputError(f"{path}{where}: {error}: keep one.") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is not JSON ({error}): unpack it again.") from error
    if not isinstance(content, dict):
        raise BadInputError(f"{path} is not a JSON object: unpack it again.")
    return content


class _RepeatedKeyError(ValueError):
    """A key of an object occurs twice, with different values."""

    def __init__(self, key: str) -> None:
        super().__init__(f"'{key}' occurs twice, with different values")
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        for key, value in pairs:
            if content[key] != value:
                raise _RepeatedKeyError(key)
    return content


def json_position(path: Path, *names: str) -> str:
    """Position of a key in a JSON file, as `, line 5, column 3`; empty if it is not found.

    Args:
        path: The file.
        names: The key, after the keys that lead to it; one that is given twice is its repetition.
    """
    text, start, end = path.read_text(encoding="utf-8-sig"), 0, 0
    for name in names:
        forms = "|".join(re.escape(json.dumps(name, ensure_ascii=ascii)) for ascii in (False, True))
        match = re.compile(rf"(?:{forms})\s*:").search(text, end)
        if match is None:
            return ""
        start, end = match.span()
    before = text[:start]
    return f", line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def not_utf8(path: Path) -> BadInputError:
    """Build the error for a text file that is not in UTF-8, with the first such place."""
    where = ""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                where = f", line {number}, byte {error.start + 1}"
                break
    return BadInputError(f"{path}{where}: not text in UTF-8: save it as UTF-8, or unpack it again.")


class AudioFolders:
    """Finds audio files, and lists each folder once."""

    def __init__(self) -> None:
        # Imported here: cards are read without loading audio libraries.
        from mscol_cli.api import AUDIO_SUFFIXES

        # Lossless formats before lossy ones.
        order = (".wav", ".flac")
        self._suffixes = (*order, *sorted(AUDIO_SUFFIXES - set(order)))
        self._names: dict[Path, frozenset[str] | None] = {}

    def find(self, path: Path) -> Path | None:
        """Find a file, or one of the same stem in another audio format; None if there is none.

        If the folder cannot be listed, return the path: opening it then reports the reason.
        """
        names = self._listing(path.parent)
        if names is None:
            return path
        for name in (path.name, *(path.stem + suffix for suffix in self._suffixes)):
            if name in names:
                return path.with_name(name)
        return None

    def _listing(self, folder: Path) -> frozenset[str] | None:
        if folder not in self._names:
            self._names[folder] = _file_names(folder)
        return self._names[folder]


def _file_names(folder: Path) -> frozenset[str] | None:
    """Names of the files in a folder; None if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if is_file(entry))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError:
        return None


def is_file(entry: os.DirEntry[str] | Path) -> bool:
    """Whether an entry is a regular file, not a pipe, a device or a broken link."""
    try:
        return entry.is_file()
    except OSError:
        return False


def with_audio(items: Sequence[TaskItem], folder: Path) -> tuple[list[TaskItem], list[str]]:
    """Split items into those with audio and those without.

    Args:
        items: Items with the paths of the data set's layout.
        folder: Folder of the data set.

    Returns:
        Items with audio, and the paths of the others relative to `folder`.

    Raises:
        MissingDataError: No item has audio.
    """
    folders = AudioFolders()
    available, missing = [], []
    for item in items:
        path = folders.find(item.path)
        if path is None:
            missing.append(item.path.relative_to(folder).as_posix())
        else:
            available.append(replace(item, path=path))
    if not available:
        looked = f"looked for {items[0].path} and {len(items) - 1} more" if items else "no clips"
        raise MissingDataError(
            f"{folder} has no audio of the data set ({looked}): unpack it there."
        )
    return available, missing


def absence_notes(classes: Sequence[str], items: Sequence[TaskItem]) -> list[str]:
    """One line per split without clips of some classes."""
    notes = []
    for split in ("train", "valid", "test"):
        present = {label for item in items if item.split == split for label in item.labels}
        absent = [name for row, name in enumerate(classes) if row not in present]
        if absent:
            notes.append(f"no {split} clip of: {', '.join(absent)}")
    return notes
