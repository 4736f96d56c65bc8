"""Input file object for the decoders."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from pathlib import Path
from typing import Any

from mscol_cli.errors import BadInputError, UnreadableInputError

_READ_AHEAD = 1 << 16
_SEARCHED, _OVERLAP = 1 << 20, 32  # bytes read at a time, and overlap between reads
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class SourceFile:
    """A regular file, or a part of one, with the methods that libsndfile and FFmpeg call.

    Decoders take a failed read for the end of the file, so an error of the system is stored until
    `check` raises it.
    """

    def __init__(self, path: Path, start: int = 0, end: int | None = None) -> None:
        """Open bytes `start` to `end` of a file.

        Raises:
            BadInputError: The file is empty, or not a regular file (a pipe is never opened).
            UnreadableInputError: The system cannot open the file.
        """
        self.path = path
        self._error: OSError | None = None
        try:
            descriptor = _open_regular(path)
            self._file = io.BufferedReader(io.FileIO(descriptor), _READ_AHEAD)
            size = os.fstat(descriptor).st_size
        except OSError as error:
            raise _unreadable(path, error) from None
        self._start, self._end = start, size if end is None else min(end, size)
        self._position = 0
        self._overlay: list[tuple[int, bytes]] = []
        if not size:
            self.close()
            raise BadInputError(f"{path}: is empty (0 bytes); copy or download it again")

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._end - self._start

    def zeros_at_end(self) -> int:
        """Number of zero bytes at the end."""
        end = self.size
        while end:
            block = self.at(max(0, end - _READ_AHEAD), min(end, _READ_AHEAD))
            if block.strip(b"\0"):
                break
            end -= len(block) or end
        block = self.at(max(0, end - _READ_AHEAD), min(end, _READ_AHEAD))
        return self.size - end + len(block) - len(block.rstrip(b"\0"))

    def find(self, pattern: re.Pattern[bytes], start: int) -> int | None:
        """Offset of the first match of a pattern from `start`; None without a match. One of more
        than 32 bytes may be missed where it crosses a multiple of 1 MiB."""
        while len(block := self.at(start, _SEARCHED)) > _OVERLAP:
            if match := pattern.search(block):
                return start + match.start()
            start += len(block) - _OVERLAP
        return None

    def part(self, start: int, end: int | None = None) -> SourceFile:
        """Open bytes `start` to `end` of this file as a separate file object."""
        stop = self._end if end is None else self._start + end
        return SourceFile(self.path, self._start + start, stop)

    def at(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes at `offset`, without moving the position."""
        position = self._position
        self.seek(offset)
        content = self.read(count)
        self.seek(position)
        return content

    def read(self, count: int = -1) -> bytes:
        """Read bytes; empty after an error of the system."""
        left = max(0, self.size - self._position)
        content = bytearray(left if count < 0 else min(count, left))
        return bytes(content[: self.readinto(content)])

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; returns 0 after an error of the system."""
        wanted = min(len(buffer), self.size - self._position)
        if wanted <= 0:
            return 0  # a damaged header may point beyond what the system can seek to
        try:
            self._file.seek(self._start + self._position)
            count = self._file.readinto(memoryview(buffer)[:wanted])
        except OSError as error:
            self._error, count = error, 0
        for offset, patch in self._overlay:
            _patch(buffer, count, offset - self._position, patch)
        self._position += count
        return count

    def overlay(self, offset: int, patch: bytes) -> None:
        """Replace the bytes that decoders read at `offset`."""
        self._overlay.append((offset, patch))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position in bytes."""
        origin = (0, self._position, self.size)[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def check(self) -> None:
        """Raise UnreadableInputError if the system failed to read the file."""
        if self._error is not None:
            raise _unreadable(self.path, self._error)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> SourceFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _open_regular(path: Path) -> int:
    # Opening a pipe waits for its writer, and opening a device may do anything.
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadInputError(f"{path}: is not a file")
    descriptor = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInputError(f"{path}: is not a file")
    return descriptor


def _patch(buffer: Any, count: int, offset: int, patch: bytes) -> None:
    """Overwrite bytes at an offset of a block; the patch may extend beyond either end."""
    start, end = max(0, offset), min(count, offset + len(patch))
    if start < end:
        buffer[start:end] = patch[start - offset : end - offset]


def _unreadable(path: Path, error: OSError) -> UnreadableInputError:
    if isinstance(error, FileNotFoundError):
        return UnreadableInputError(f"{path}: no such file")
    if isinstance(error, PermissionError):
        return UnreadableInputError(f"{path}: no permission to read it")
    if error.errno == errno.ELOOP:
        return UnreadableInputError(f"{path}: is a link that leads back to itself; remove it")
    return UnreadableInputError(f"{path}: cannot be read ({error.strerror}); check the disk")
