"""Open files of a folder of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

_MOST = 256
"""Files that are open at once; every system permits twice as many."""


class ShardFiles:
    """Opens files for reading: within `kept` each of them once, else for every access."""

    def __init__(self) -> None:
        self._kept: ExitStack | None = None
        self._files: dict[Path, BinaryIO] = {}

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Context in which files stay open. Only one thread may read in it."""
        with ExitStack() as self._kept:
            try:
                yield
            finally:
                self._kept = None
                self._files.clear()

    @contextmanager
    def opened(self, path: Path) -> Iterator[BinaryIO]:
        """Context with an open file. Raises OSError."""
        if self._kept is None:
            with path.open("rb") as file:
                yield file
            return
        if path not in self._files:
            if len(self._files) == _MOST:
                self._kept.close()
                self._files.clear()
            self._files[path] = self._kept.enter_context(path.open("rb"))
        yield self._files[path]
