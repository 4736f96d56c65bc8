"""Records of an index: the position of each file's vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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
        return FileVersion(str(path.absolute()), status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class VectorRecord:
    """Position of a file's vectors in a shard.

    Attributes:
        file: The file.
        row: Row of the first vector.
        windows: Number of vectors.
        crc32: CRC-32 of the vectors' bytes.
    """

    file: FileVersion
    row: int
    windows: int
    crc32: int

    def to_line(self) -> str:
        """One line of JSON, with its line end."""
        return json.dumps(asdict(self), separators=(",", ":")) + "\n"

    @staticmethod
    def from_line(line: Mapping[str, Any]) -> VectorRecord:
        """Build a record from a parsed line. Raises KeyError, TypeError."""
        return VectorRecord(
            FileVersion(**line["file"]), line["row"], line["windows"], line["crc32"]
        )
