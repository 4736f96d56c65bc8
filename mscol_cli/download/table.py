"""Table of downloadable collections, packaged and user-defined."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mscol_cli.download.checksum import Checksum
from mscol_cli.download.entries import Entry, parse_toml
from mscol_cli.errors import UsageError
from mscol_cli.host.names import unknown_name

USER_TABLE = "MSCOL_DOWNLOADS"
PACKAGED = "table.toml"
KINDS = ("zip", "tar.gz")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a collection.

    Attributes:
        name: File name in the collection's folder.
        urls: Addresses, in the order in which they are tried.
        size: Exact size in bytes; None if unknown.
        about: Approximate size in bytes; `size` if it is known.
        checksum: Published hash; None if there is none.
        unpack: `zip` or `tar.gz`; None for a file that is not unpacked.
        archive: Name of the archive that the file is, or is a part of.
        unpacked: Approximate size in bytes of the content of the archive.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None
    about: int
    checksum: Checksum | None
    unpack: str | None
    archive: str
    unpacked: int


@dataclass(frozen=True)
class Archive:
    """An archive in one or more parts."""

    name: str
    kind: str
    parts: tuple[RemoteFile, ...]

    @property
    def unpacked(self) -> int:
        """Approximate size in bytes of the content."""
        return sum(part.unpacked for part in self.parts)


@dataclass(frozen=True)
class Collection:
    """A data set, or the weights of a model.

    Attributes:
        name: Name in `mscol download`.
        title: One line of description.
        licence: Short form of the licence.
        licence_from: Source of the information on the licence.
        page: Address of the description, with the citation.
        folder: Default folder; `torch.hub` for the folder where torch.hub keeps weights.
        layout: Description of the folder after the download.
        files: Files to download.
    """

    name: str
    title: str
    licence: str
    licence_from: str
    page: str
    folder: str
    layout: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Approximate bytes to download."""
        return sum(file.about for file in self.files)

    @property
    def archives(self) -> tuple[Archive, ...]:
        """The archives to unpack, with their parts."""
        parts: dict[str, list[RemoteFile]] = {}
        for file in self.files:
            if file.unpack:
                parts.setdefault(file.archive, []).append(file)
        return tuple(
            Archive(name, group[0].unpack or "", tuple(group)) for name, group in parts.items()
        )

    def file(self, name: str) -> RemoteFile:
        """Find a file by name. Raises UsageError."""
        for file in self.files:
            if file.name == name:
                return file
        known = ", ".join(file.name for file in self.files)
        raise UsageError(f"'{self.name}' has no file '{name}': it has {known}.")


def load_table() -> dict[str, Collection]:
    """Read all collections by name: the packaged table, then the file of `MSCOL_DOWNLOADS`, which
    takes precedence.

    Raises:
        UsageError: The file of `MSCOL_DOWNLOADS` cannot be read, or is invalid.
    """
    source = resources.files("mscol_cli.download").joinpath(PACKAGED)
    table = _collections(source.read_text(encoding="utf-8"), PACKAGED)
    user = os.environ.get(USER_TABLE)
    return table | _collections(_read(Path(user)), user) if user else table


def find_collection(name: str) -> Collection:
    """Find a collection by name. Raises UsageError."""
    table = load_table()
    if name not in table:
        raise unknown_name("collection", name, table)
    return table[name]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{USER_TABLE} is {path}, which cannot be read ({error}).") from None


def _collections(text: str, source: str) -> dict[str, Collection]:
    return {entry.name: _collection(entry) for entry in parse_toml(text, source)}


def _collection(entry: Entry) -> Collection:
    keys = ("title", "licence", "licence_from", "page", "folder", "layout")
    texts = {key: entry.text(key) for key in keys}
    files = tuple(_file(item) for item in entry.entries("files"))
    entry.check_all_read()
    _check_files(entry, files)
    return Collection(entry.name, files=files, **texts)


def _file(entry: Entry) -> RemoteFile:
    name = entry.file_name("name")
    size = entry.count("size")
    kind = entry.text("unpack", default="") or None
    file = RemoteFile(
        name=name,
        urls=entry.urls("urls"),
        size=size,
        about=entry.count("about") or size or 0,
        checksum=entry.checksum("hash"),
        unpack=kind,
        archive=entry.text("part_of", default=name),
        unpacked=entry.count("unpacked") or 0,
    )
    if kind is not None and kind not in KINDS:
        raise entry.problem(f"unpack is '{kind}', not one of {', '.join(KINDS)}")
    entry.check_all_read()
    return file


def _check_files(entry: Entry, files: Sequence[RemoteFile]) -> None:
    if len({file.name for file in files}) < len(files):
        raise entry.problem("two files have one name")
    kinds = {(file.archive, file.unpack) for file in files if file.unpack}
    if len({archive for archive, _ in kinds}) < len(kinds):
        raise entry.problem("the parts of one archive are unpacked in two ways")
