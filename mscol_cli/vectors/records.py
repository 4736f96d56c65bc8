"""The lines of an index: which file's vectors are where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FileVersion:
    """A file as it was when it was embedded. A changed file is another version.

    Attributes:
        path: Absolute.
        size: Bytes.
        mtime_ns: Time of its last change.
    """

    path: str
    size: int
    mtime_ns: int

    @staticmethod
    def of(path: Path) -> FileVersion | None:
        """The version of a file now; None if the system does not tell."""
        try:
            status = path.stat()
        except OSError:
            return None
        return FileVersion(str(path.absolute()), status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class VectorRecord:
    """Where the vectors of a file are.

    Attributes:
        file: The file.
        row: Row of its first vector in the shard.
        windows: How many vectors.
        crc32: Of their bytes.
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
        """Take a parsed line. Raises KeyError, TypeError."""
        return VectorRecord(
            FileVersion(**line["file"]), line["row"], line["windows"], line["crc32"]
        )
