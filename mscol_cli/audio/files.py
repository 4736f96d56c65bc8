"""Finding audio under what the user named, and giving each file a name of its own.

Every command that searches folders does it here, by one rule: hidden files and folders are left
out; links to folders are followed, each folder is entered once, under its own name where it has
one below the input; a folder that cannot be listed is a failure with a name.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from mscol_cli.contracts.separator import InputFile
from mscol_cli.errors import MissingDataError
from mscol_cli.files import real_path

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

    A folder is searched recursively for files with a known suffix; a file is taken as it is. Names
    are unique and relative, with `/` between parts: if two inputs hold files of one name, every
    name begins with its input's folder. A file that two inputs reach is listed once.

    Raises:
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
    """Drop what a second input reaches again; name all after their inputs if two names clash."""
    listings = [listing for _, listing in found]
    real = {file.path: real_path(file.path) for one in listings for file in one.files}
    paths: dict[str, set[Path]] = {}
    for file in chain.from_iterable(one.files for one in listings):
        paths.setdefault(file.name, set()).add(real[file.path])
    clash = any(len(different) > 1 for different in paths.values())
    prefixes = _prefixes([source for source, _ in found]) if clash else [""] * len(found)
    named = [_prefixed(one, prefix) for one, prefix in zip(listings, prefixes, strict=True)]
    merged: dict[Path, InputFile] = {}
    for file in chain.from_iterable(one.files for one in named):
        merged.setdefault(real[file.path], file)
    failures = {reason: name for one in named for name, reason in one.failures}
    return AudioListing(
        list(merged.values()),
        [(name, reason) for reason, name in failures.items()],
        _joined(one.left_out for one in named),
    )


def _prefixed(listing: AudioListing, prefix: str) -> AudioListing:
    return AudioListing(
        [replace(file, name=prefix + file.name) for file in listing.files],
        [(prefix + name, reason) for name, reason in listing.failures],
        {reason: [prefix + name for name in names] for reason, names in listing.left_out.items()},
    )


def _joined(parts: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
    joined: dict[str, list[str]] = {}
    for reason, names in chain.from_iterable(part.items() for part in parts):
        joined.setdefault(reason, []).extend(names)
    return joined


def _prefixes(sources: Sequence[Path]) -> list[str]:
    """`NAME/` of each input's folder, numbered where two folders have one name."""
    prefix_of: dict[Path, str] = {}
    taken: Counter[str] = Counter()
    for folder in map(_folder, sources):
        if folder not in prefix_of:
            name = folder.name or "root"
            taken[name] += 1
            prefix_of[folder] = f"{name}/" if taken[name] == 1 else f"{name}-{taken[name]}/"
    return [prefix_of[_folder(source)] for source in sources]


def _folder(source: Path) -> Path:
    real = real_path(source)
    return real if source.is_dir() else real.parent
