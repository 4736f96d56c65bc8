"""Record of downloaded and unpacked files: a JSON file beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mscol_cli.download.checksum import Checksum
from mscol_cli.download.table import Archive
from mscol_cli.system.files import read_json, write_json


class Record:
    """Downloaded files with their origin, sizes of partial downloads, and unpacked archives."""

    def __init__(self, folder: Path, collection: str) -> None:
        """Read an existing record. Raises UsageError if it is not JSON."""
        self._path = folder / f".mscol-{collection}.json"
        content = read_json(self._path, "download") if self._path.exists() else {}
        self._files: dict[str, Any] = content.get("files", {})
        self._totals: dict[str, int] = content.get("under_way", {})
        self._archives: dict[str, Any] = content.get("archives", {})

    def total(self, name: str) -> int | None:
        """Size in bytes of a partly downloaded file, as reported by its server."""
        return self._totals.get(name)

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
        """Record that a file is complete, with its size in bytes."""
        self._totals.pop(name, None)
        self._files[name] = {"hash": str(checksum), "bytes": size, "url": url}
        self._write()

    def is_unpacked(self, archive: Archive) -> bool:
        """Whether this version of the archive is completely unpacked."""
        state = self._archives.get(archive.name, {})
        return bool(state.get("unpacked")) and state.get("parts") == _checksums(archive)

    def is_started(self, archive: Archive) -> bool:
        """Whether unpacking has started."""
        return archive.name in self._archives

    def start_unpacking(self, archive: Archive) -> None:
        """Record that unpacking has started."""
        self._archives[archive.name] = {"unpacked": False, "parts": _checksums(archive)}
        self._write()

    def finish_unpacking(self, archive: Archive, members: int) -> None:
        """Record that an archive is completely unpacked."""
        state = {"unpacked": True, "members": members, "parts": _checksums(archive)}
        self._archives[archive.name] = state
        self._write()

    def _write(self) -> None:
        content = {"files": self._files, "under_way": self._totals, "archives": self._archives}
        write_json(self._path, content)


def _checksums(archive: Archive) -> Sequence[str | None]:
    return [None if part.checksum is None else str(part.checksum) for part in archive.parts]
