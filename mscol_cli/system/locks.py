"""Locks that the system releases when their process ends, however it ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mscol_cli.errors import MscolError

try:
    import fcntl
except ImportError:  # pragma: no cover - no such locks on this system
    fcntl = None  # type: ignore[assignment]

_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class Lock:
    """A file or folder that at most one process holds; as a context it waits for its turn,
    unless it is taken already.

    Args:
        path: The file, which is made where its folder exists, or a folder.
        required: Whether to fail on a file system without locks; where it is false, such a file
            system keeps no process out.
    """

    def __init__(self, path: Path, *, required: bool = True) -> None:
        self._path, self._required = path, required
        self._descriptor: int | None = None

    def take(self, wait: bool = False) -> bool:
        """Whether this process holds the lock now.

        Args:
            wait: Wait until no other process holds it.

        Raises:
            MscolError: The lock is required and the file system has none.
        """
        while fcntl is not None:
            descriptor = _open(self._path)
            try:
                if not self._lock(descriptor, wait):
                    return False
                # The holder may have removed the file while this process waited.
                if _is_at(descriptor, self._path):
                    self._descriptor, descriptor = descriptor, -1
                    return True
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
        return True

    def release(self) -> None:
        """Let other processes have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Lock:
        if self._descriptor is None:
            self.take(wait=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _lock(self, descriptor: int, wait: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            # Without locks NFS answers in its own ways, such as EBADF for a folder.
            if self._required and error.errno in _UNSUPPORTED:
                raise MscolError(
                    f"{self._path.parent}: its file system has no locks ({error.strerror});"
                    " choose a place on another with -o"
                ) from None
            if self._required:
                raise
        return True


def _open(path: Path) -> int:
    if path.is_dir():
        return os.open(path, os.O_RDONLY)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
