"""The one table of what can be downloaded, and a lab's own beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from mscol_cli.download.checksum import Checksum
from mscol_cli.download.entries import Entry, parse_toml
from mscol_cli.errors import UsageError

OWN_TABLE = "MSCOL_DOWNLOADS"
PACKAGED = "table.toml"
KINDS = ("zip", "tar.gz")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a collection.

    Attributes:
        name: On the disk, in the collection's folder.
        urls: Where it is, tried in this order.
        size: Bytes, None where nobody says it exactly.
        about: Bytes, roughly; the size where that is known.
        checksum: None where nobody publishes one.
        unpack: `zip` or `tar.gz`; None keeps the file as it is.
        archive: Name of the archive it is, or is a part of.
        unpacked: Bytes, roughly, of what is in the archive.
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
    """A file to unpack, or several that make one when read one after another."""

    name: str
    kind: str
    parts: tuple[RemoteFile, ...]

    @property
    def unpacked(self) -> int:
        """Bytes, roughly, of what is in it."""
        return sum(part.unpacked for part in self.parts)


@dataclass(frozen=True)
class Collection:
    """A data set, or the weights of a model.

    Attributes:
        name: What `mscol download` calls it.
        title: What it is.
        licence: In short.
        licence_from: Who says so.
        page: Where it is described and how to cite it.
        folder: Where it goes by default; `torch.hub` is where torch.hub keeps weights.
        layout: What lies there afterwards.
        files: What it is made of.
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
        """Bytes to download, roughly."""
        return sum(file.about for file in self.files)

    @property
    def archives(self) -> tuple[Archive, ...]:
        """The files that are unpacked, parts together."""
        parts: dict[str, list[RemoteFile]] = {}
        for file in self.files:
            if file.unpack:
                parts.setdefault(file.archive, []).append(file)
        return tuple(
            Archive(name, group[0].unpack or "", tuple(group)) for name, group in parts.items()
        )

    def file(self, name: str) -> RemoteFile:
        """The file of that name. Raises UsageError."""
        for file in self.files:
            if file.name == name:
                return file
        known = ", ".join(file.name for file in self.files)
        raise UsageError(f"'{self.name}' has no file '{name}': it has {known}.")


def load_table() -> dict[str, Collection]:
    """Everything that can be downloaded, by name: the packaged table, and over it the file that
    `MSCOL_DOWNLOADS` names.

    Raises:
        UsageError: That file cannot be read, or is no such table.
    """
    packaged = files("mscol_cli.download").joinpath(PACKAGED).read_text(encoding="utf-8")
    table = _collections(packaged, PACKAGED)
    own = os.environ.get(OWN_TABLE)
    return table | _collections(_read(Path(own)), own) if own else table


def find_collection(name: str) -> Collection:
    """The collection of that name. Raises UsageError."""
    table = load_table()
    if name not in table:
        raise UsageError(f"nothing to download is called '{name}'. Known: {', '.join(table)}.")
    return table[name]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{OWN_TABLE} names {path}, which cannot be read ({error}).") from None


def _collections(text: str, source: str) -> dict[str, Collection]:
    return {entry.name: _collection(entry) for entry in parse_toml(text, source)}


def _collection(entry: Entry) -> Collection:
    described = {
        key: entry.text(key)
        for key in ("title", "licence", "licence_from", "page", "folder", "layout")
    }
    listed = tuple(_file(item) for item in entry.entries("files"))
    entry.check_all_read()
    _check_files(entry, listed)
    return Collection(entry.name, files=listed, **described)


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


def _check_files(entry: Entry, listed: Sequence[RemoteFile]) -> None:
    names = [file.name for file in listed]
    if len(set(names)) < len(names):
        raise entry.problem("two files have one name")
    kinds = {(file.archive, file.unpack) for file in listed if file.unpack}
    if len({archive for archive, _ in kinds}) < len(kinds):
        raise entry.problem("the parts of one archive are unpacked in two ways")
