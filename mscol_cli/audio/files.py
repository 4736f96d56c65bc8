"""Finding audio under what the user named, and giving each file a name of its own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from mscol_cli.contracts.separator import InputFile
from mscol_cli.errors import MissingDataError


def find_audio(inputs: Sequence[Path]) -> list[InputFile]:
    """The audio files that the inputs name, in the order of the inputs and sorted within each.

    A folder is searched recursively for known suffixes, hidden files and folders left out; a file
    is taken as it is. Names are unique and relative, with `/` between parts: if two inputs hold
    files of one name, every name begins with its input's folder. A file that two inputs
    reach is listed once.

    Raises:
        MissingDataError: An input is not there, or there is no audio in any.
    """
    found = [(source, _files_of(source)) for source in inputs]
    files = found[0][1] if len(found) == 1 else _merge(found)
    if not files:
        listed = ", ".join(str(source) for source in inputs) or "no inputs"
        raise MissingDataError(f"no audio files found in {listed}: name a folder that holds some")
    return files


def _files_of(source: Path) -> list[InputFile]:
    if source.is_dir():
        return [InputFile(path, path.relative_to(source).as_posix()) for path in _walk(source)]
    if not source.exists():
        raise MissingDataError(f"{source}: no such file or folder")
    return [InputFile(source, source.name)]


def _walk(folder: Path) -> Iterator[Path]:
    """Files with audio suffixes; links to folders are followed, each folder entered once."""
    entered: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        place = os.path.realpath(root)
        if place in entered:
            folders.clear()
            continue
        entered.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Path(root, name)


def _merge(found: Sequence[tuple[Path, list[InputFile]]]) -> list[InputFile]:
    """Drop what a second input reaches again; name all after their inputs if two names clash."""
    place_of = {file.path: file.path.resolve() for _, files in found for file in files}
    places: dict[str, set[Path]] = {}
    for _, files in found:
        for file in files:
            places.setdefault(file.name, set()).add(place_of[file.path])
    clash = any(len(paths) > 1 for paths in places.values())
    prefixes = _prefixes([source for source, _ in found]) if clash else [""] * len(found)
    merged: dict[Path, InputFile] = {}
    for (_, files), prefix in zip(found, prefixes, strict=True):
        for file in files:
            merged.setdefault(place_of[file.path], InputFile(file.path, prefix + file.name))
    return list(merged.values())


def _prefixes(sources: Sequence[Path]) -> list[str]:
    """`NAME/` of each input's folder, numbered where two folders have one name."""
    prefix_of: dict[Path, str] = {}
    taken: Counter[str] = Counter()
    for source in sources:
        folder = _folder(source)
        if folder not in prefix_of:
            name = folder.name or "root"
            taken[name] += 1
            prefix_of[folder] = f"{name}/" if taken[name] == 1 else f"{name}-{taken[name]}/"
    return [prefix_of[_folder(source)] for source in sources]


def _folder(source: Path) -> Path:
    return source.resolve() if source.is_dir() else source.resolve().parent
