"""Finding audio under what the user named, and giving each file a name of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from mscol_cli.contracts.separator import InputFile
from mscol_cli.errors import MissingDataError, UsageError


def find_audio(inputs: Sequence[Path]) -> list[InputFile]:
    """The audio files that the inputs name, in the order of the inputs and sorted within each.

    A folder is searched recursively for known suffixes, hidden files and folders left out; a file
    is taken as it is. The name of a file is its path below the input folder, with `/` between
    parts, or the file's own name where the input is the file, whatever the other inputs are. Files
    of two inputs may so have one name, which `clash` reports.

    Raises:
        UsageError: One input lies inside another, so that a file would have two names.
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
    """All files; one that two inputs reach under the same name once. Raises UsageError."""
    named: dict[str, InputFile] = {}
    merged: dict[tuple[str, Path], InputFile] = {}
    for file in (file for _, files in found for file in files):
        # Not `resolve`: a link is a file with a name of its own.
        before = named.setdefault(os.path.abspath(file.path), file)  # noqa: PTH100
        if before.name != file.name:
            raise UsageError(
                f"two inputs hold {file.path}, one as {before.name}, one as {file.name}: leave out"
                " the input that lies inside the other."
            )
        merged.setdefault((file.name, file.path.resolve()), file)
    return list(merged.values())


def clash(name: str, first: Path, second: Path) -> UsageError:
    """Two files, or stores that hold tracks, with one name."""
    return UsageError(
        f"two inputs are named {name}: {first} and {second}. Names are paths below the input"
        " folder: give one folder that holds both, or take one input at a time."
    )
