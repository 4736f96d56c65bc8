"""What is known of a collection's files on the disk: a small JSON file beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mscol_cli.download.checksum import Checksum
from mscol_cli.download.table import Archive
from mscol_cli.system.files import read_json, write_json


class Record:
    """Which files came whole and from where, how long those under way are, what is unpacked."""

    def __init__(self, folder: Path, collection: str) -> None:
        """Read what is there. Raises UsageError when it is no JSON."""
        self._path = folder / f".mscol-{collection}.json"
        content = read_json(self._path, "download") if self._path.exists() else {}
        self._files: dict[str, Any] = content.get("files", {})
        self._totals: dict[str, int] = content.get("under_way", {})
        self._archives: dict[str, Any] = content.get("archives", {})

    def total(self, name: str) -> int | None:
        """Bytes that a file under way has when it is whole, as its server said."""
        return self._totals.get(name)

    def begin(self, name: str, total: int | None) -> None:
        """A file is under way."""
        if total is not None and self._totals.get(name) != total:
            self._totals[name] = total
            self._write()

    def hash_of(self, name: str) -> str | None:
        """The hash of a file as it came."""
        found = self._files.get(name, {}).get("hash")
        return str(found) if found else None

    def came(self, name: str, found: Checksum, size: int, url: str) -> None:
        """A file is whole."""
        self._totals.pop(name, None)
        self._files[name] = {"hash": str(found), "bytes": size, "url": url}
        self._write()

    def is_unpacked(self, archive: Archive) -> bool:
        """Whether everything of this very archive is there."""
        known = self._archives.get(archive.name, {})
        return bool(known.get("unpacked")) and known.get("parts") == _stated(archive)

    def is_begun(self, archive: Archive) -> bool:
        """Whether some of it may be there."""
        return archive.name in self._archives

    def unpacking(self, archive: Archive) -> None:
        """Unpacking begins."""
        self._archives[archive.name] = {"unpacked": False, "parts": _stated(archive)}
        self._write()

    def unpacked(self, archive: Archive, members: int) -> None:
        """Everything of an archive is there."""
        state = {"unpacked": True, "members": members, "parts": _stated(archive)}
        self._archives[archive.name] = state
        self._write()

    def _write(self) -> None:
        content = {"files": self._files, "under_way": self._totals, "archives": self._archives}
        write_json(self._path, content)


def _stated(archive: Archive) -> Sequence[str | None]:
    return [None if part.checksum is None else str(part.checksum) for part in archive.parts]
