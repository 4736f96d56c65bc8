"""The beginning of a file, under a name of its own until it is whole."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from io import FileIO
from pathlib import Path

from mscol_cli.system.files import sync

SUFFIX = ".part"


class Part(AbstractContextManager["Part"]):
    """`NAME.part`, open for appending; kept when work on it ends early, unless it is empty.

    Attributes:
        path: Where it is.
        size: Bytes in it.
        total: Bytes of the whole file as an earlier run learned it, None when unknown.
    """

    def __init__(self, path: Path, file: FileIO, total: int | None) -> None:
        self.path = path
        self.size = file.seek(0, os.SEEK_END)
        self.total = total
        self._file = file

    @classmethod
    def open(cls, path: Path, total: int | None) -> Part:
        """The part of the file that will be `path`."""
        part = part_of(path)
        return cls(part, part.open("ab", buffering=0), total)

    def write(self, block: bytes) -> None:
        """Append."""
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(block)

    def clear(self) -> None:
        """Forget everything."""
        self._file.truncate(0)
        self.size = 0

    def finish(self, path: Path) -> int:
        """Put the file under its own name when it is safe on the disk; its bytes."""
        os.fsync(self._file.fileno())
        self.path.replace(path)
        sync(path.parent)
        return self.size

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self.size:
            self.path.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where the beginning of a file lies until it is whole."""
    return path.with_name(path.name + SUFFIX)
