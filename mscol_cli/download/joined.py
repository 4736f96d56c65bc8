"""Several files read as the one they are parts of, without writing it."""

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
    """A seek to before the first byte, which the offsets of a damaged archive can lead to."""


class JoinedFiles(io.RawIOBase):
    """A read-only, seekable file made of the bytes of others, one after another."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open all of them."""
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
        """The number of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte, which may lie past the end. Raises SeekError."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._ends[-1]}
        if origin[whence] + offset < 0:
            raise SeekError(errno.EINVAL, f"cannot seek to {origin[whence] + offset}")
        self._position = origin[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer from one of the files, up to that file's end; 0 at the very end."""
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
        """Close all of them."""
        for file in self._files:
            file.close()
        super().close()


def open_joined(paths: Sequence[Path]) -> io.BufferedReader:
    """The parts of a file as that file, buffered."""
    return io.BufferedReader(JoinedFiles(paths), BUFFER)
