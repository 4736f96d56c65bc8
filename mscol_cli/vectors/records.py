"""Lines of an index: which file a vector is of, and where it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mscol_cli.system.files import absolute_path
from mscol_cli.system.json_files import INVALID

_LARGEST = 2**63


@dataclass(frozen=True)
class FileVersion:
    """State of a file when it was embedded. A changed file is another version.

    Attributes:
        path: Absolute path.
        size: Size in bytes.
        mtime_ns: Modification time in nanoseconds.
    """

    path: str
    size: int
    mtime_ns: int

    @staticmethod
    def of(path: Path) -> FileVersion | None:
        """Current version of a file; None if it cannot be accessed."""
        try:
            status = path.stat()
        except OSError:
            return None
        return FileVersion(str(absolute_path(path)), status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class VectorEntry:
    """One file of a folder of vectors.

    Attributes:
        id: Name of the file, unique in the folder.
        path: Absolute path of the audio file, or of the store that has the track `id`.
        size: Size in bytes.
        mtime_ns: Modification time in nanoseconds; 0 for a track of a store.
        sha256: SHA-256 of the file, or of the record of a track, hex; None if unknown.
        windows: Number of windows that were embedded; 0 if the file failed.
        rows: Number of vectors: `windows`, or 1 if they were pooled; 0 if the file failed.
        failure: Why the file could not be embedded; None if it was.
        shortfall: Description of missing audio; None if the file is complete.
        silent: Whether the mono mix of the file is silent.
        shard: Number of the shard.
        row: Row of the first vector in the shard.
        crc32: CRC-32 of the bytes of the vectors.
        revision: The line of an id with the highest revision replaces the others.
        removed: Whether the file is gone.
    """

    id: str
    path: str = ""
    size: int = 0
    mtime_ns: int = 0
    sha256: str | None = None
    windows: int = 0
    rows: int = 0
    failure: str | None = None
    shortfall: str | None = None
    silent: bool = False
    shard: int = 0
    row: int = 0
    crc32: int = 0
    revision: int = 1
    removed: bool = False

    @property
    def version(self) -> FileVersion:
        """State of the file when it was embedded."""
        return FileVersion(self.path, self.size, self.mtime_ns)

    def to_line(self, shard: str) -> bytes:
        """One line of JSON, with its line end.

        Args:
            shard: File name of the shard, for readers other than mscol.
        """
        return json.dumps(self._fields(shard), separators=(",", ":")).encode() + b"\n"

    def _fields(self, shard: str) -> dict[str, Any]:
        if self.removed:
            return {"id": self.id, "revision": self.revision, "rows": 0, "removed": True}
        names = ["id", "path", "size", "mtime_ns", "sha256", "revision", "rows"]
        if self.failure is not None:
            return {name: getattr(self, name) for name in [*names, "failure"]}
        names += ["windows", "row", "crc32"]
        names += ["shortfall"] if self.shortfall is not None else []
        names += ["silent"] if self.silent else []
        return {**{name: getattr(self, name) for name in names}, "shard": shard}

    @staticmethod
    def from_line(line: bytes, shard: int) -> VectorEntry:
        """Parse a line. Raises INVALID."""
        content: Mapping[str, Any] = json.loads(line)
        entry = VectorEntry(**{**content, "shard": shard})
        numbers = (entry.rows, entry.row, entry.windows, entry.revision, entry.size, entry.crc32)
        texts = (entry.id, entry.path)
        phrases = (entry.sha256, entry.failure, entry.shortfall)
        # One by one, as a folder may have millions of lines.
        if not all(type(value) is int for value in (*numbers, entry.mtime_ns)):
            raise TypeError("a number has another type")
        if not all(isinstance(value, str) for value in texts) or not all(
            value is None or isinstance(value, str) for value in phrases
        ):
            raise TypeError("a text has another type")
        if type(entry.silent) is not bool:
            raise TypeError("a flag has another type")
        if min(numbers) < 0 or max(*numbers, abs(entry.mtime_ns)) >= _LARGEST:
            raise ValueError("a number is too small or too large")
        return entry


class IndexReader:
    """Reads an index that grows: only lines that were not read before."""

    def __init__(self, path: Path) -> None:
        self._path, self._end = path, 0
        self._shard = int(path.stem)

    @property
    def has_grown(self) -> bool:
        """Whether there is more to read. It is asked for often, and opens no file: a folder on a
        network disk may have hundreds of indexes."""
        try:
            return self._path.stat().st_size > self._end
        except OSError:  # for `read` to report
            return True

    def read(self) -> Iterator[VectorEntry]:
        """Yield new entries. Damaged lines are skipped, an unfinished last line is left."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._end)
                yield from self._entries(iter(file.readline, b""))
        except FileNotFoundError:
            return

    def _entries(self, lines: Iterator[bytes]) -> Iterator[VectorEntry]:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            self._end += len(line)
            try:
                yield VectorEntry.from_line(line, self._shard)
            except INVALID:
                continue


def index_paths(folder: Path) -> list[Path]:
    """The indexes of a folder, by number of their shard."""
    return sorted(path for path in folder.glob("*.jsonl") if path.stem.isdecimal())
