"""Partial downloads."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from io import FileIO
from pathlib import Path

from mscol_cli.errors import MscolError
from mscol_cli.system.files import sync, without_links

SUFFIX = ".part"


class Part(AbstractContextManager["Part"]):
    """`NAME.part`, open for appending. On exit it is kept unless it is empty.

    Attributes:
        path: Path of the part.
        size: Size of the part in bytes.
        total: Size in bytes of the complete file, as recorded by an earlier run; None if unknown.
    """

    def __init__(self, path: Path, file: FileIO, total: int | None) -> None:
        self.path = path
        self.size = file.seek(0, os.SEEK_END)
        self.total = total
        self._file = file

    @classmethod
    def open(cls, path: Path, total: int | None) -> Part:
        """Open the part of a file; `path` is the path of the complete file."""
        part = part_of(path)
        return cls(part, open(part, "ab", buffering=0, opener=without_links), total)

    def write(self, block: bytes) -> None:
        """Append a block. Raises MscolError if another process took the part."""
        self._check_owner()
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(block)

    def clear(self) -> None:
        """Truncate the part to zero bytes. Raises MscolError if another process took the part."""
        self._check_owner()
        self._file.truncate(0)
        self.size = 0

    def finish(self, path: Path) -> None:
        """Flush the file to the disk and rename it to its final name.

        Raises:
            MscolError: Another process took the part, or wrote to it.
        """
        os.fsync(self._file.fileno())
        self._check_owner(self.size)
        self.path.replace(path)
        sync(path.parent)

    def _check_owner(self, size: int | None = None) -> None:
        """Without locks another process may have written the part, or made it the finished file,
        which nobody may change."""
        own, found = os.fstat(self._file.fileno()), None
        with suppress(FileNotFoundError):
            found = self.path.stat()
        if found is None or not os.path.samestat(own, found) or size not in (None, own.st_size):
            raise MscolError(
                f"another process downloads to {self.path}: wait for it, then run the same command"
                " again."
            )

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self.size:
            self.path.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Path of the part of a file."""
    return path.with_name(path.name + SUFFIX)
