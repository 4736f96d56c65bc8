"""Adding files to a folder of vectors.

Vectors are written to disk before their line, so an interrupted process loses only what it had not
flushed. Only one process at a time writes a shard, also where file locks have no effect.
"""

from __future__ import annotations

import os
import time
import zlib
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.system.files import whole_lines, without_links
from mscol_cli.system.locks import Lock
from mscol_cli.vectors.folder import VectorFolder
from mscol_cli.vectors.header import VectorHeader
from mscol_cli.vectors.records import FileVersion, IndexReader, VectorEntry

_FULL_SHARD = 1 << 30  # bytes
_FLUSH_BYTES, _FLUSH_SECONDS = 1 << 22, 1.0


class VectorWriter:
    """Context manager that adds files to a folder.

    Entries are on disk after `flush` or `close`. All methods raise OSError if the folder cannot be
    written.
    """

    def __init__(self, folder: VectorFolder) -> None:
        """Create the folder if it is missing.

        Raises:
            UsageError: The folder contains vectors of another model or with other settings.
        """
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.header.write_or_check(folder.path)
        self._folder = folder
        self._shard: _Shard | None = None

    def add(
        self,
        name: str,
        file: FileVersion,
        vectors: NDArray[np.floating[Any]],
        *,
        windows: int | None = None,
        sha256: str | None = None,
        shortfall: str | None = None,
        silent: bool = False,
    ) -> None:
        """Add the vectors of a file, replacing earlier ones.

        Args:
            name: Id of the file.
            file: Its version.
            vectors: (rows, dim).
            windows: Number of windows that were embedded; None for the number of rows.
            sha256: SHA-256 of the file, hex.
            shortfall: Description of missing audio; None if the file is complete.
            silent: Whether the mono mix of the file is silent.
        """
        content = np.ascontiguousarray(vectors, self._folder.header.dtype).tobytes()
        entry = VectorEntry(
            name,
            **vars(file),
            sha256=sha256,
            windows=len(vectors) if windows is None else windows,
            rows=len(vectors),
            shortfall=shortfall,
            silent=silent,
            crc32=zlib.crc32(content),
        )
        self._append(entry, content)

    def fail(self, name: str, file: FileVersion, reason: str, *, sha256: str | None = None) -> None:
        """Record why a file could not be embedded, replacing its earlier vectors."""
        self._append(VectorEntry(name, **vars(file), sha256=sha256, failure=reason))

    def remove(self, name: str) -> None:
        """Remove a file from the listing."""
        self._append(VectorEntry(name, removed=True))

    def flush(self, *, only_if_due: bool = False) -> bool:
        """Write added entries to disk.

        Args:
            only_if_due: Only if the last flush was a second ago, or more than 4 MiB wait.

        Returns:
            Whether they were written.
        """
        if self._shard is None or (only_if_due and not self._shard.is_due):
            return False
        self._shard.flush()
        return True

    def close(self) -> None:
        """Flush added entries and unlock the shard."""
        if self._shard is not None:
            shard, self._shard = self._shard, None
            shard.close()

    def __enter__(self) -> VectorWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, entry: VectorEntry, content: bytes = b"") -> None:
        if self._shard is not None and self._shard.is_full:
            self.close()
        if self._shard is None:
            self._shard = next(filter(None, map(self._open, count())))
        revision = self._folder.next_revision(entry.id)
        self._shard.add(replace(entry, revision=revision), content)

    def _open(self, number: int) -> _Shard | None:
        """A shard to append to; None if it is full, damaged, or may have another writer.

        Where locks have no effect, every process appends only to shards that it has created.
        """
        index = self._folder.path / f"{number:05d}.jsonl"
        is_own, lock = _create(index), Lock(index, required=False)
        if not lock.take():
            return None
        shard = _Shard(index, lock, self._folder.header)
        if not (is_own or _keeps_others_out(index)) or shard.is_full or shard.is_damaged:
            lock.release()
            return None
        return shard


class _Shard:
    def __init__(self, index: Path, lock: Lock, header: VectorHeader) -> None:
        self._index, self._data, self._lock = index, index.with_suffix(header.suffix), lock
        self._row_bytes = header.row_bytes
        ends = (entry.row + entry.rows for entry in IndexReader(index).read())
        self._rows = max(ends, default=0)
        self._index_end = whole_lines(index)
        self._pending: list[tuple[VectorEntry, bytes]] = []
        self._flushed = time.monotonic()

    @property
    def is_full(self) -> bool:
        return self._rows * self._row_bytes >= _FULL_SHARD

    @property
    def is_damaged(self) -> bool:
        size = self._data.stat().st_size if self._data.exists() else 0
        return size < self._rows * self._row_bytes

    @property
    def is_due(self) -> bool:
        waiting = sum(len(content) for _, content in self._pending)
        return waiting > _FLUSH_BYTES or time.monotonic() - self._flushed > _FLUSH_SECONDS

    def add(self, entry: VectorEntry, content: bytes) -> None:
        self._pending.append((replace(entry, row=self._rows if content else 0), content))
        self._rows += entry.rows

    def flush(self) -> None:
        if self._pending:
            end = (self._rows - sum(entry.rows for entry, _ in self._pending)) * self._row_bytes
            _append(self._data, end, b"".join(content for _, content in self._pending))
            lines = b"".join(entry.to_line(self._data.name) for entry, _ in self._pending)
            _append(self._index, self._index_end, lines)
            self._index_end += len(lines)
        self._pending.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._lock.release()


def _create(path: Path) -> bool:
    """Create a file; returns False if it exists. Only one of several processes creates it, also on
    network disks without locks."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    return True


def _keeps_others_out(path: Path) -> bool:
    """Whether the lock on a file, which this process holds, has an effect: some file systems refuse
    locks, others grant every lock."""
    second = Lock(path, required=False)
    try:
        return not second.take()
    finally:
        second.release()


def _append(path: Path, end: int, content: bytes) -> None:
    """Write after byte `end`, replacing remains of an interrupted process, and sync; or nothing."""
    mode = "r+b" if path.exists() else "xb"
    with open(path, mode, buffering=0, opener=without_links) as file:
        file.truncate(end)
        file.seek(end)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            # Some of the lines would let the same command resume within a batch: with other bits.
            with suppress(OSError):
                file.truncate(end)
            raise
