"""Record of downloaded and unpacked files: a JSON file beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mscol_cli.download.checksum import Checksum
from mscol_cli.download.table import Archive
from mscol_cli.download.unpack import Content
from mscol_cli.system.files import write_json
from mscol_cli.system.json_files import parsing, read_json
from mscol_cli.system.values import from_json


@dataclass(frozen=True)
class _Content:
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    under_way: Mapping[str, int] = field(default_factory=dict)
    archives: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Record:
    """Downloaded files with their origin, sizes of partial downloads, and unpacked archives."""

    def __init__(self, folder: Path, collection: str) -> None:
        """Read an existing record. Raises UsageError if it is damaged."""
        self._path = folder / f".mscol-{collection}.json"
        content = read_json(self._path, "download") if self._path.exists() else {}
        with parsing(self._path, "delete it, and files are checked again."):
            read = from_json(_Content, content)
        self._files = {name: dict(file) for name, file in read.files.items()}
        self._totals = dict(read.under_way)
        self._archives = {name: dict(archive) for name, archive in read.archives.items()}

    def total(self, name: str) -> int | None:
        """Size in bytes of a partly downloaded file, as reported by its server or recorded."""
        recorded = self._files.get(name, {}).get("bytes")
        return self._totals.get(name, recorded)

    def start(self, name: str, total: int | None) -> None:
        """Record that a download has started."""
        if total is not None and self._totals.get(name) != total:
            self._totals[name] = total
            self._write()

    def hash_of(self, name: str) -> str | None:
        """The hash of a downloaded file; None if unknown."""
        checksum = self._files.get(name, {}).get("hash")
        return str(checksum) if checksum else None

    def finish(self, name: str, checksum: Checksum, size: int, url: str) -> None:
        """Record that a file is complete, with its size in bytes.

        Called before the file gets its name, so that no kill leaves a file without hash and
        address; the address of the same file is then kept.
        """
        self._totals.pop(name, None)
        if self.hash_of(name) != str(checksum):
            self._files[name] = {"hash": str(checksum), "bytes": size, "url": url}
        self._write()

    def is_unpacked(self, archive: Archive) -> bool:
        """Whether this version of the archive is completely unpacked, and its first file or folder
        exists. Files that were deleted one by one are not restored."""
        state = self._archives.get(archive.name, {})
        if not state.get("unpacked") or state.get("parts") != _checksums(archive):
            return False
        first = state.get("first")  # earlier versions did not record it
        top = Path(str(first or ".")).parts[:1]
        return self._path.parent.joinpath(*top).exists()

    def is_needless(self, archive: Archive) -> bool:
        """Whether the archive is unpacked and was to be deleted."""
        return self.is_unpacked(archive) and self._archives[archive.name].get("kept") is False

    def is_started(self, archive: Archive) -> bool:
        """Whether unpacking has started."""
        return archive.name in self._archives

    def start_unpacking(self, archive: Archive) -> None:
        """Record that unpacking has started."""
        self._archives[archive.name] = {"unpacked": False, "parts": _checksums(archive)}
        self._write()

    def finish_unpacking(self, archive: Archive, content: Content, kept: bool) -> None:
        """Record that an archive is completely unpacked, and whether it is kept."""
        self._archives[archive.name] = {
            "unpacked": True,
            "members": content.count,
            "first": content.first,
            "parts": _checksums(archive),
            "kept": kept,
        }
        self._write()

    def _write(self) -> None:
        content = {"files": self._files, "under_way": self._totals, "archives": self._archives}
        write_json(self._path, content)


def _checksums(archive: Archive) -> Sequence[str | None]:
    return [None if part.checksum is None else str(part.checksum) for part in archive.parts]
