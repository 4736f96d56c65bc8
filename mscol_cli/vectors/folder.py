"""Reading and filling a folder of vectors.

A shard is `NNNNN.f32`, raw little-endian float32 (rows, dim), and `NNNNN.jsonl`, an index with one
line per file. Vectors are written to disk before their line, so an interrupted process loses only
what it had not flushed. Only one process at a time writes a shard.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mscol_cli.system.files import whole_lines
from mscol_cli.system.locks import Lock
from mscol_cli.vectors.header import VectorHeader
from mscol_cli.vectors.records import FileVersion, VectorRecord

FloatArray = NDArray[np.float32]
_TYPE = np.dtype("<f4")
_FULL_SHARD = 1 << 30  # bytes
_FLUSH_BYTES, _FLUSH_SECONDS = 1 << 22, 1.0


class VectorFolder:
    """Vectors of files by one model, as of the time when the folder was opened."""

    def __init__(self, path: Path, header: VectorHeader) -> None:
        """Read the indexes. The folder may be missing."""
        self.path, self.header = path, header
        # Damaged vectors are kept beside their replacement.
        self._records: dict[FileVersion, list[tuple[Path, VectorRecord]]] = {}
        for index in sorted(path.glob("*.jsonl")):
            for record in _read_index(index):
                entry = index.with_suffix(".f32"), record
                self._records.setdefault(record.file, []).append(entry)

    def read(self, file: FileVersion) -> FloatArray | None:
        """Vectors of a file, (windows, dim); None if missing or damaged."""
        for shard, record in self._records.get(file, []):
            if (vectors := self._read(shard, record)) is not None:
                return vectors
        return None

    def _read(self, shard: Path, record: VectorRecord) -> FloatArray | None:
        row_bytes = self.header.dim * _TYPE.itemsize
        try:
            with shard.open("rb") as data:
                data.seek(record.row * row_bytes)
                content = data.read(record.windows * row_bytes)
        except OSError:
            return None
        if len(content) < record.windows * row_bytes or zlib.crc32(content) != record.crc32:
            return None
        return np.frombuffer(content, _TYPE).reshape(record.windows, self.header.dim)


class VectorWriter:
    """Context manager that adds the vectors of files to a folder.

    All methods raise OSError if the folder cannot be written.
    """

    def __init__(self, path: Path, header: VectorHeader) -> None:
        """Create the folder if it is missing.

        Raises:
            MscolError: The folder contains vectors of another model.
        """
        path.mkdir(parents=True, exist_ok=True)
        header.write_or_check(path)
        self._path, self._header = path, header
        self._shard: _Shard | None = None

    def add(self, file: FileVersion, vectors: FloatArray) -> None:
        """Add the vectors of a file, (windows, dim)."""
        if self._shard is not None and self._shard.is_full:
            self.close()
        if self._shard is None:
            self._shard = next(filter(None, map(self._open, count())))
        self._shard.add(file, vectors)

    def close(self) -> None:
        """Flush added vectors and unlock the shard."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def __enter__(self) -> VectorWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, number: int) -> _Shard | None:
        """A shard to append to; None if it is full, damaged, or locked by another process."""
        index = self._path / f"{number:05d}.jsonl"
        # Without file locks a line may be lost: its file is then embedded again.
        lock = Lock(index, required=False)
        if not lock.take():
            return None
        shard = _Shard(index, lock, self._header.dim)
        if shard.is_full or shard.is_damaged:
            lock.release()
            return None
        return shard


class _Shard:
    def __init__(self, index: Path, lock: Lock, dim: int) -> None:
        self._index, self._data, self._lock = index, index.with_suffix(".f32"), lock
        self._row_bytes = dim * _TYPE.itemsize
        ends = [record.row + record.windows for record in _read_index(index)]
        self._rows = max(ends, default=0)
        self._index_end = whole_lines(index)
        self._pending: list[tuple[VectorRecord, bytes]] = []
        self._flushed = time.monotonic()

    @property
    def is_full(self) -> bool:
        return self._rows * self._row_bytes >= _FULL_SHARD

    @property
    def is_damaged(self) -> bool:
        size = self._data.stat().st_size if self._data.exists() else 0
        return size < self._rows * self._row_bytes

    def add(self, file: FileVersion, vectors: FloatArray) -> None:
        content = np.ascontiguousarray(vectors, _TYPE).tobytes()
        record = VectorRecord(file, self._rows, len(vectors), zlib.crc32(content))
        self._pending.append((record, content))
        self._rows += len(vectors)
        late = time.monotonic() - self._flushed > _FLUSH_SECONDS
        if late or (self._rows - self._pending[0][0].row) * self._row_bytes > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._pending:
            first, _ = self._pending[0]
            _append(self._data, first.row * self._row_bytes, (part for _, part in self._pending))
            lines = [record.to_line().encode() for record, _ in self._pending]
            _append(self._index, self._index_end, lines)
            self._index_end += sum(map(len, lines))
        self._pending.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._lock.release()


def _append(path: Path, end: int, parts: Iterable[bytes]) -> None:
    """Write after byte `end`, replacing remains of an interrupted process, and sync."""
    file: BinaryIO
    with path.open("r+b" if path.exists() else "xb") as file:
        file.truncate(end)
        file.seek(end)
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _read_index(path: Path) -> Iterator[VectorRecord]:
    """Records of an index; damaged and incomplete lines are skipped."""
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            yield VectorRecord.from_line(json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue
