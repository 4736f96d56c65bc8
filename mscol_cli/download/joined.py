"""Parts of a split file, read as one file."""

from __future__ import annotations

import errno
import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 1 << 20


class SeekError(OSError):
    """A seek before the first byte, caused by the offsets of a damaged archive."""


class JoinedFiles(io.RawIOBase):
    """Read-only, seekable concatenation of files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._files: list[BinaryIO] = [path.open("rb") for path in paths]
        sizes = [os.fstat(file.fileno()).st_size for file in self._files]
        self._ends = list(accumulate(sizes))
        self._starts = [0, *self._ends[:-1]]
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position in bytes, which may be past the end. Raises SeekError."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._ends[-1]}
        if origin[whence] + offset < 0:
            raise SeekError(errno.EINVAL, f"cannot seek to {origin[whence] + offset}")
        self._position = origin[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer from one file, up to its end; returns 0 at the end of the last file."""
        view = memoryview(buffer).cast("B")
        number = bisect_right(self._ends, self._position)
        if number == len(self._files):
            return 0
        file, left = self._files[number], self._ends[number] - self._position
        file.seek(self._position - self._starts[number])
        block = file.read(min(len(view), left))
        view[: len(block)] = block
        self._position += len(block)
        return len(block)

    def close(self) -> None:
        """Close all files."""
        for file in self._files:
            file.close()
        super().close()


def open_joined(paths: Sequence[Path]) -> io.BufferedReader:
    """Open the parts of a file as one buffered file."""
    return io.BufferedReader(JoinedFiles(paths), BUFFER)
