"""Where the cache is, and which of its folders are in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mscol_cli.system.locks import Lock

USED = "used"
"""File in a folder of vectors: locked while the folder is used, modified when it was last used."""
_ATTEMPTS = 3


def cache_folder() -> Path:
    """Return `$MSCOL_CACHE`, `$XDG_CACHE_HOME/mscol` or `~/.cache/mscol`, the first that is set.

    As its specification requires, XDG_CACHE_HOME is ignored unless it is an absolute path.
    """
    if chosen := os.environ.get("MSCOL_CACHE"):
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "mscol"


def vectors_folder() -> Path:
    """Return the folder of the cache that has a folder of vectors for each model."""
    return cache_folder() / "vectors"


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Create a folder of vectors, and protect it from being pruned in this context.

    Without effect if the folder cannot be written.
    """
    lock = lock_for_use(folder)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def lock_for_use(folder: Path) -> Lock | None:
    """Protect a folder of vectors from being pruned until the lock is released.

    Returns:
        The lock; None if the folder cannot be written.
    """
    for _ in range(_ATTEMPTS):
        lock = Lock(folder / USED, required=False, shared=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.take(wait=True)
            os.utime(folder / USED)
        except FileNotFoundError:
            # The folder was pruned in between.
            lock.release()
        except OSError:
            lock.release()
            return None
        else:
            return lock
    return None
