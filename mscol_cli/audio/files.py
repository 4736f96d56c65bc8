"""Finding audio under what the user named, and giving each file a name of its own.

Every command that searches folders does it here, by one rule: hidden files and folders are left
out; links to folders are followed, each folder is entered once, under its own name where it has
one below the input; a folder that cannot be listed is a failure with a name.
"""

from __future__ import annotations

import errno
import os
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
        files: Audio files in the order of the inputs, sorted within each. They need not be regular
            files: opening one is what tells.
        failures: Folders that could not be listed: their name, which ends in `/`, and the reason.
        left_out: By reason, the names of files and folders that are not taken for music.
    """

    files: Sequence[InputFile] = ()
    failures: Sequence[tuple[str, str]] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)


def find_audio(inputs: Sequence[Path]) -> AudioListing:
    """List the audio files that the inputs name.

    A folder is searched recursively for files with a known suffix; a file is taken as it is. The
    name of a file is its path below the input folder, with `/` between parts, or the file's own
    name where the input is the file, whatever the other inputs are. Files of two inputs may so
    have one name, which `clash` reports.

    Raises:
        UsageError: One input lies inside another, so that a file would have two names.
        MissingDataError: An input is not there, or there is no audio in any.
    """
    found = [(source, _list(source)) for source in inputs]
    listing = found[0][1] if len(found) == 1 else _merge(found)
    if not listing.files:
        listed = ", ".join(str(source) for source in inputs) or "no inputs"
        raise MissingDataError(
            f"no audio files found in {listed}{_why(listing)}: name a folder that holds some"
        )
    return listing


def _list(source: Path) -> AudioListing:
    try:
        source.stat()
    except FileNotFoundError:
        raise MissingDataError(f"{source}: no such file or folder") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MissingDataError(f"{source}: cannot be read ({reason})") from None
    if source.is_dir():
        return _Walk(source).listing()
    return AudioListing([InputFile(source, source.name)])


def _why(listing: AudioListing) -> str:
    reasons = [reason for _, reason in listing.failures[:1]]
    reasons += [f"{len(names)} {reason}" for reason, names in listing.left_out.items()]
    return f" ({', '.join(reasons)})" if reasons else ""


class _Walk:
    """One walk through a folder. Linked folders wait until all others are entered, so that a file
    with a path of its own below the input never gets the name of a link."""

    def __init__(self, folder: Path) -> None:
        self._files: list[InputFile] = []
        self._failures: list[tuple[str, str]] = []
        self._left_out: dict[str, list[str]] = {}
        self._entered: set[str] = set()
        self._links: list[tuple[str, Path]] = [("", folder)]
        for name, path in self._links:  # grows meanwhile
            self._enter(name, path)

    def listing(self) -> AudioListing:
        """What was found, files before folders at every level."""
        return AudioListing(
            sorted(self._files, key=lambda file: _order(file.name)),
            sorted(self._failures, key=lambda failure: _order(failure[0])),
            self._left_out,
        )

    def _enter(self, name: str, path: Path) -> None:
        """List a folder and all below it but links."""
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
        """Whether to enter it; what is not a folder is taken or left out."""
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


def _merge(found: Sequence[tuple[Path, AudioListing]]) -> AudioListing:
    """All files; one that two inputs reach under the same name once. Raises UsageError."""
    listings = [listing for _, listing in found]
    named: dict[str, InputFile] = {}
    merged: dict[tuple[str, Path], InputFile] = {}
    for file in chain.from_iterable(listing.files for listing in listings):
        # Not the real path: a link is a file with a name of its own.
        before = named.setdefault(os.path.abspath(file.path), file)  # noqa: PTH100
        if before.name != file.name:
            raise UsageError(
                f"two inputs hold {file.path}, one as {before.name}, one as {file.name}: leave out"
                " the input that lies inside the other."
            )
        merged.setdefault((file.name, real_path(file.path)), file)
    failures = {reason: name for listing in listings for name, reason in listing.failures}
    return AudioListing(
        list(merged.values()),
        [(name, reason) for reason, name in failures.items()],
        _joined(listing.left_out for listing in listings),
    )


def _joined(parts: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
    joined: dict[str, list[str]] = {}
    for reason, names in chain.from_iterable(part.items() for part in parts):
        joined.setdefault(reason, []).extend(names)
    return joined


def clash(name: str, first: Path, second: Path) -> UsageError:
    """Two files, or stores that hold tracks, with one name."""
    return UsageError(
        f"two inputs are named {name}: {first} and {second}. Names are paths below the input"
        " folder: give one folder that holds both, or take one input at a time."
    )
