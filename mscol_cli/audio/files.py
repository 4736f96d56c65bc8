"""Search for audio files, each with a unique name.

All commands search folders by the same rules. Hidden files and folders are skipped. Links to
folders are followed, and each folder is entered once, under its real name if that is below the
input. A folder that cannot be listed is reported as a failure.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from mscol_cli.contracts.separator import InputFile
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.system.files import real_path

HIDDEN = "hidden"
OTHER_SUFFIX = "without an audio suffix"
BROKEN_LINK = "links that lead nowhere"


@dataclass(frozen=True)
class AudioListing:
    """The audio files under some inputs.

    Attributes:
        files: Audio files in the order of the inputs, sorted within each. Some may turn out not to
            be regular files when they are opened.
        failures: Name, which ends in `/`, and reason of each folder that could not be listed.
        left_out: Names of skipped files and folders, by reason.
    """

    files: Sequence[InputFile] = ()
    failures: Sequence[tuple[str, str]] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)


def find_audio(inputs: Sequence[Path]) -> AudioListing:
    """List the audio files under the inputs.

    A folder is searched recursively for files with a known suffix; an input that is a file is taken
    with any suffix. The name of a file is its path below the input folder, with `/` between parts,
    or its file name if it is the input itself. Files of two inputs can therefore share a name. An
    input that is a broken link, or that may not be accessed, is listed as a file, and fails when it
    is opened.

    Raises:
        UsageError: One input lies inside another, so that a file would have two names.
        MissingDataError: An input does not exist, or no input holds audio.
    """
    listings = [_list(source) for source in inputs]
    listing = listings[0] if len(listings) == 1 else _merge(listings)
    if not listing.files:
        listed = ", ".join(str(source) for source in inputs) or "no inputs"
        raise MissingDataError(
            f"no audio files found in {listed}{_why(listing)}: name a folder that holds some"
        )
    return listing


def _list(source: Path) -> AudioListing:
    try:
        if stat.S_ISDIR(source.stat().st_mode):
            return _Walk(source).listing()
    except PermissionError:
        pass  # a file that fails when it is opened; the other inputs do not depend on it
    except (OSError, ValueError) as error:
        if not os.path.lexists(source):
            raise MissingDataError(f"{source}: {_why_missing(error)}") from None
    return AudioListing([InputFile(source, source.name)])


def _why_missing(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


def _why(listing: AudioListing) -> str:
    reasons = [reason for _, reason in listing.failures[:1]]
    reasons += [f"{len(names)} {reason}" for reason, names in listing.left_out.items()]
    return f" ({', '.join(reasons)})" if reasons else ""


class _Walk:
    """Recursive search of a folder. Linked folders are entered last, so that a file with a real
    path below the input is not named by a link."""

    def __init__(self, folder: Path) -> None:
        self._files: list[InputFile] = []
        self._failures: list[tuple[str, str]] = []
        self._left_out: dict[str, list[str]] = {}
        self._entered: set[str] = set()
        self._links: list[tuple[str, Path]] = [("", folder)]
        for name, path in self._links:  # grows during iteration
            self._enter(name, path)

    def listing(self) -> AudioListing:
        """The result, sorted with files before folders at every level."""
        return AudioListing(
            sorted(self._files, key=lambda file: _order(file.name)),
            sorted(self._failures, key=lambda failure: _order(failure[0])),
            self._left_out,
        )

    def _enter(self, name: str, path: Path) -> None:
        """Search a folder and its subfolders, except linked ones."""
        waiting = [(name, path, os.path.realpath(path))]
        while waiting:
            name, path, real = waiting.pop()
            if real in self._entered:
                continue
            self._entered.add(real)
            for entry in self._entries(name, path):
                if entry.name.startswith("."):
                    self._leave_out(HIDDEN, name + entry.name)
                elif not self._is_folder(entry, name + entry.name):
                    continue
                elif entry.is_symlink():
                    self._links.append((f"{name}{entry.name}/", path / entry.name))
                else:
                    inner = f"{name}{entry.name}/"
                    waiting.append((inner, path / entry.name, f"{real}/{entry.name}"))

    def _entries(self, name: str, path: Path) -> Sequence[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._fail(name or f"{path.name}/", path, error)
            return ()

    def _is_folder(self, entry: os.DirEntry[str], name: str) -> bool:
        """Whether an entry is a folder; any other entry is listed, skipped or reported."""
        problem = None
        try:
            if entry.is_dir():
                return True
        except OSError as error:
            problem = error
        path = Path(entry.path)
        if path.suffix.lower() in AUDIO_SUFFIXES:
            self._files.append(InputFile(path, name))
        elif problem is not None and problem.errno != errno.ELOOP:
            self._fail(f"{name}/", path, problem)
        elif problem is not None or (entry.is_symlink() and not path.exists()):
            self._leave_out(BROKEN_LINK, name)
        else:
            self._leave_out(OTHER_SUFFIX, name)
        return False

    def _leave_out(self, reason: str, name: str) -> None:
        self._left_out.setdefault(reason, []).append(name)

    def _fail(self, name: str, path: Path, error: OSError) -> None:
        reason = f"{path}: cannot be listed ({error.strerror}); allow reading it, or move it away"
        self._failures.append((name, reason))


def _order(name: str) -> list[tuple[bool, str]]:
    *folders, last = name.split("/")
    return [*((True, folder) for folder in folders), (False, last)]


def _merge(listings: Sequence[AudioListing]) -> AudioListing:
    """Join listings; a file that two inputs reach under one name is listed once."""
    named: dict[str, InputFile] = {}
    merged: dict[tuple[str, Path], InputFile] = {}
    for file in chain.from_iterable(listing.files for listing in listings):
        # Not the real path: a link is a separate file with its own name.
        before = named.setdefault(os.path.abspath(file.path), file)  # noqa: PTH100
        if before.name != file.name:
            raise UsageError(
                f"two inputs hold {file.path}, one as {before.name}, one as {file.name}: leave out"
                " the input that lies inside the other."
            )
        merged.setdefault((file.name, real_path(file.path)), file)
    failures = {reason: name for listing in listings for name, reason in listing.failures}
    left_out: dict[str, list[str]] = {}
    for reason, names in chain.from_iterable(listing.left_out.items() for listing in listings):
        left_out.setdefault(reason, []).extend(names)
    return AudioListing(
        list(merged.values()),
        [(name, reason) for reason, name in failures.items()],
        left_out,
    )


def check_unique(inputs: Iterable[tuple[str, Path]]) -> None:
    """Raise UsageError if two files, or two stores with tracks, have the same name.

    Args:
        inputs: Name and path of each input.
    """
    seen: dict[str, Path] = {}
    for name, path in inputs:
        if name in seen:
            raise UsageError(
                f"two inputs are named {name}: {seen[name]} and {path}. Names are paths below the"
                " input folder: give one folder that holds both, or take one input at a time."
            )
        seen[name] = path
