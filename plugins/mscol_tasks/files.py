"""What every data set needs: its JSON read, and its audio found or counted missing."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mscol_cli.api import BadInputError, MissingDataError, TaskItem


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object, in UTF-8 with or without a byte order mark.

    Raises:
        MissingDataError: The file is not there.
        BadInputError: It is not a JSON object, or has a key twice with different values.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingDataError(f"{path} is not there: unpack the data set's metadata.") from None
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is not JSON ({error}): unpack it again.") from error
    if not isinstance(content, dict):
        raise BadInputError(f"{path} is not a JSON object: unpack it again.")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        for key, value in pairs:
            if content[key] != value:
                raise ValueError(f"'{key}' is there twice, with different values")
    return content


class AudioFolders:
    """Which audio files exist, asking each folder once."""

    def __init__(self) -> None:
        # Imported here: cards are read without loading audio libraries.
        from mscol_cli.api import AUDIO_SUFFIXES

        # Lossless formats before lossy ones.
        order = (".wav", ".flac")
        self._suffixes = (*order, *sorted(AUDIO_SUFFIXES - set(order)))
        self._names: dict[Path, frozenset[str] | None] = {}

    def find(self, path: Path) -> Path | None:
        """The file itself, or one of the same stem in another audio format, or None.

        In a folder that cannot be listed it is the file itself: opening it tells what is wrong.
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
    """Names of the files in a folder; None where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if _is_file(entry))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError:
        return None


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Pipes and devices are not files; a link that leads nowhere the system can say is not, too."""
    try:
        return entry.is_file()
    except OSError:
        return False


def with_audio(items: Sequence[TaskItem], folder: Path) -> tuple[list[TaskItem], list[str]]:
    """Keep the items whose audio is there, and name the others.

    Args:
        items: With the paths at which the data set's layout puts them.
        folder: The data set's.

    Returns:
        The items that have audio, and for each other its path below `folder`.

    Raises:
        MissingDataError: None has audio.
    """
    folders = AudioFolders()
    found, missing = [], []
    for item in items:
        path = folders.find(item.path)
        if path is None:
            missing.append(item.path.relative_to(folder).as_posix())
        else:
            found.append(replace(item, path=path))
    if not found:
        looked = f"looked for {items[0].path} and {len(items) - 1} more" if items else "no clips"
        raise MissingDataError(
            f"{folder} has no audio of the data set ({looked}): unpack it there."
        )
    return found, missing


def absence_notes(classes: Sequence[str], items: Sequence[TaskItem]) -> list[str]:
    """One line for each split that lacks some class."""
    notes = []
    for split in ("train", "valid", "test"):
        present = {label for item in items if item.split == split for label in item.labels}
        absent = [name for row, name in enumerate(classes) if row not in present]
        if absent:
            notes.append(f"no {split} clip of: {', '.join(absent)}")
    return notes
