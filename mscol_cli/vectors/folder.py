"""Reading and filling a folder of vectors.

A shard is `NNNNN.f32`, raw float32 (rows, dim) in little-endian, and `NNNNN.jsonl`, an index with a
line for each file. Vectors are on the disk before their line is, so a process that is killed loses
what it had not flushed and nothing else. One process at a time writes a shard.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mscol_cli.system.locks import Lock
from mscol_cli.vectors.header import VectorHeader
from mscol_cli.vectors.records import FileVersion, VectorRecord

FloatArray = NDArray[np.float32]
_TYPE = np.dtype("<f4")
_FULL_SHARD = 1 << 30  # bytes
_FLUSH_BYTES, _FLUSH_SECONDS = 1 << 22, 1.0


class VectorFolder:
    """The vectors of files by one model, as they were when the folder was opened."""

    def __init__(self, path: Path, header: VectorHeader) -> None:
        """Read the indexes; the folder need not be there."""
        self.path, self.header = path, header
        # Vectors that were damaged stay, beside those that were computed after that.
        self._places: dict[FileVersion, list[tuple[Path, VectorRecord]]] = {}
        for index in sorted(path.glob("*.jsonl")):
            for record in _read_index(index):
                place = index.with_suffix(".f32"), record
                self._places.setdefault(record.file, []).append(place)

    def read(self, file: FileVersion) -> FloatArray | None:
        """The vectors of a file, (windows, dim); None if there are none, or they are damaged."""
        for shard, record in self._places.get(file, []):
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
    """Adds the vectors of files to a folder; as a context it flushes at the end.

    Whatever cannot be written raises OSError.
    """

    def __init__(self, path: Path, header: VectorHeader) -> None:
        """Make the folder where it is not there.

        Raises:
            MscolError: It holds vectors of another model.
        """
        path.mkdir(parents=True, exist_ok=True)
        header.write_or_check(path)
        self._path, self._header = path, header
        self._shard: _Shard | None = None

    def add(self, file: FileVersion, vectors: FloatArray) -> None:
        """Add the vectors (windows, dim) of a file."""
        if self._shard is not None and self._shard.is_full:
            self._shard.close()
            self._shard = None
        if self._shard is None:
            self._shard = next(filter(None, map(self._open, count())))
        self._shard.add(file, vectors)

    def close(self) -> None:
        """Flush what was added, and let other processes have the shard."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def __enter__(self) -> VectorWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, number: int) -> _Shard | None:
        """A shard to append to; None if it is full, damaged, or another process writes it."""
        index = self._path / f"{number:05d}.jsonl"
        # Without locks on its file system a cache may lose a line, which costs an embedding.
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
        self._waiting: list[tuple[VectorRecord, bytes]] = []
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
        self._waiting.append((record, content))
        self._rows += len(vectors)
        late = time.monotonic() - self._flushed > _FLUSH_SECONDS
        if late or sum(len(content) for _, content in self._waiting) > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            first, _ = self._waiting[0]
            _append(self._data, first.row * self._row_bytes, (part for _, part in self._waiting))
            lines = (record.to_line().encode() for record, _ in self._waiting)
            _append(self._index, _whole_lines(self._index), lines)
        self._waiting.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._lock.release()


def _append(path: Path, end: int, parts: Iterator[bytes]) -> None:
    """Write behind byte `end`, in place of what a killed process left there, and sync."""
    file: BinaryIO
    with path.open("r+b" if path.exists() else "xb") as file:
        file.truncate(end)
        file.seek(end)
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _whole_lines(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1


def _read_index(path: Path) -> Iterator[VectorRecord]:
    """Records of an index, without lines that are damaged or not yet whole."""
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            yield VectorRecord.from_line(json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue
