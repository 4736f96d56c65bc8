"""Locks that the system releases when their process ends, however it ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from mscol_cli.errors import MscolError

try:
    import fcntl
except ImportError:  # pragma: no cover - no such locks on this system
    fcntl = None  # type: ignore[assignment]

_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_NONE_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class Lock:
    """A file that at most one process holds; as a context it waits for its turn."""

    def __init__(self, path: Path) -> None:
        """Name the file; its folder must exist."""
        self._path = path
        self._file: BinaryIO | None = None

    def take(self, wait: bool = False) -> bool:
        """Whether the lock is ours now.

        Raises:
            MscolError: The file system has no locks.
        """
        while True:
            file = self._path.open("ab")
            if not lock_file(file, wait):
                file.close()
                return False
            # A holder may have removed the file while this process waited.
            if _is_at(file, self._path):
                self._file = file
                return True
            file.close()

    def release(self) -> None:
        """Let others have it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Lock:
        self.take(wait=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def lock_file(file: BinaryIO, wait: bool) -> bool:
    """Lock an open file; false if another holds it. Raises MscolError."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if error.errno in _NONE_HERE:
            raise MscolError(
                f"{Path(file.name).parent}: its file system has no locks ({error.strerror});"
                " choose a place on another with -o"
            ) from None
        raise
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
