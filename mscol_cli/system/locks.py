"""File locks, which the system releases when their process ends."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from secrets import token_hex

from mscol_cli.errors import MscolError
from mscol_cli.system.files import naming, read_bytes, retry_stale, without_links

try:
    import fcntl
except ImportError:  # pragma: no cover - the system has no such locks
    fcntl = None  # type: ignore[assignment]

_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_ATTEMPTS = 1000


class Lock:
    """Lock on a file. The context manager waits for the lock, unless `take` has acquired it before.

    Attributes:
        has_effect: Whether the file system has locks; known after `take`.

    Args:
        path: A file, which is created if its folder exists.
        required: Whether to fail on a file system without locks; if false, the lock has no effect
            there.
        shared: Whether several processes may hold the lock at once, all of them with `shared`.
        marked: Whether to write into the file who holds the lock, for `require_held`.
    """

    def __init__(
        self, path: Path, *, required: bool = True, shared: bool = False, marked: bool = False
    ) -> None:
        self._path, self._required, self._shared = path, required, shared
        self._mark = token_hex(8).encode() if marked else b""
        self._descriptor: int | None = None
        self.has_effect = fcntl is not None

    def take(self, wait: bool = False) -> bool:
        """Acquire the lock. Returns whether this process holds it.

        Args:
            wait: Wait until no other process holds the lock.

        Raises:
            MscolError: The lock is required and the file system has no locks.
            FileNotFoundError: The folder of the lock does not exist.
        """
        while fcntl is not None:
            # Of many workers that wait, each removes the file in turn: the handles of all others
            # are then stale on a network file system.
            held = retry_stale(partial(self._try, wait), _ATTEMPTS)
            if held is not None:
                return held
        return True

    def _try(self, wait: bool) -> bool | None:
        """Whether this process holds the lock; None if its file was removed meanwhile."""
        descriptor = without_links(str(self._path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            with naming(self._path):
                if not self._lock(descriptor, wait):
                    return False
                # The holder may have removed the file while this process waited.
                if not _is_at(descriptor, self._path):
                    return None
                self._write_mark(descriptor)
            self._descriptor, descriptor = descriptor, -1
            return True
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def require_held(self) -> None:
        """Check that no other process has taken the lock meanwhile.

        Raises:
            MscolError: One has. Locks of some file systems hold only between processes of one host
                or one mount.
        """
        if not self._mark or self._descriptor is None:
            return
        try:
            content = read_bytes(self._path)
        except FileNotFoundError:
            content = b""
        if content != self._mark:
            raise MscolError(
                f"{self._path} was taken by two processes: locks do not hold between the hosts or"
                " mounts of this file system; choose another one with -o, or use one process"
            )

    def _write_mark(self, descriptor: int) -> None:
        if self._mark:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, self._mark, 0)
            os.fsync(descriptor)

    def release(self) -> None:
        """Release the lock."""
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
            kind = fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            if error.errno == errno.ESTALE:
                raise
            # NFS without locks fails with various errors.
            if self._required and error.errno in _UNSUPPORTED:
                raise MscolError(
                    f"{self._path.parent}: its file system has no locks ({error.strerror});"
                    " choose a folder on another file system with -o"
                ) from None
            if self._required:
                raise
            self.has_effect = False
        return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):
            raise
        return False
