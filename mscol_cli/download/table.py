"""Table of downloadable collections, packaged and user-defined."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mscol_cli.contracts.options import Option
from mscol_cli.download.checksum import Checksum
from mscol_cli.download.web import is_web_address
from mscol_cli.errors import UsageError
from mscol_cli.host.names import unknown_name
from mscol_cli.host.options import TEXTS, Wording, read_options

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

USER_TABLE = "MSCOL_DOWNLOADS"
PACKAGED = "table.toml"
KINDS = ("zip", "tar.gz")
COLLECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
COLLECTION = tuple(
    Option(key, str) for key in ("title", "licence", "licence_from", "page", "folder", "layout")
)
FILE = (
    *(Option(key, str) for key in ("name", "hash", "part_of")),
    Option("unpack", str, metadata={"choices": KINDS}),
    Option("urls", TEXTS),
    *(Option(key, int, metadata={"minimum": 1}) for key in ("size", "about", "unpacked")),
)


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
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not TOML: {error}.") from None
    return {name: _collection(name, table, source) for name, table in content.items()}


def _collection(name: str, table: Any, source: str) -> Collection:
    # The name is part of addresses and of file names.
    if not COLLECTION_NAME.fullmatch(name) or not isinstance(table, dict):
        raise UsageError(f"{source}: '{name}' must be a table, with a name of a-z, 0-9, - and _.")
    where, entries = f"{source}, {name}", table.pop("files", None)
    texts = _read_entry(COLLECTION, table, where, required=[item.key for item in COLLECTION])
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{where}: files is missing or empty.")
    files = [
        _file(entry, f"{where}, files {number}") for number, entry in enumerate(entries, start=1)
    ]
    _check_files(where, files)
    return Collection(name, files=tuple(files), **texts)


def _file(entry: Any, where: str) -> RemoteFile:
    values = _read_entry(FILE, entry, where, required=("name", "urls"))
    name, kind = values["name"], values.get("unpack")
    if not FILE_NAME.fullmatch(name):
        raise UsageError(f"{where}: name '{name}' is not a plain file name.")
    for url in values["urls"]:
        if not is_web_address(url):
            raise UsageError(f"{where}: urls has {url!r}, which is not an http or https address.")
    try:
        checksum = Checksum.parse(values["hash"]) if "hash" in values else None
    except ValueError as error:
        raise UsageError(f"{where}: {error}.") from None
    return RemoteFile(
        name=name,
        urls=values["urls"],
        size=values.get("size"),
        about=values.get("about") or values.get("size") or 0,
        checksum=checksum,
        unpack=kind,
        archive=values.get("part_of", name),
        unpacked=values.get("unpacked", 0),
    )


def _read_entry(
    known: Sequence[Option], entry: Any, where: str, required: Sequence[str]
) -> dict[str, Any]:
    """Read a table by key. Raises UsageError for an unknown, missing, empty or wrong value."""
    if not isinstance(entry, dict):
        raise UsageError(f"{where} must be a table.")
    values = read_options(known, entry, Wording.in_file(where))
    for key in (*required, *values):
        if not values.get(key):
            raise UsageError(f"{where}: {key} is {'empty' if key in values else 'missing'}.")
    return values


def _check_files(where: str, files: Sequence[RemoteFile]) -> None:
    if len({file.name for file in files}) < len(files):
        raise UsageError(f"{where}: two files have one name.")
    kinds = {(file.archive, file.unpack) for file in files if file.unpack}
    if len({archive for archive, _ in kinds}) < len(kinds):
        raise UsageError(f"{where}: the parts of one archive are unpacked in two ways.")
