"""Reading a folder of vectors.

A shard is `NNNNN.f32` or `NNNNN.f16`, raw little-endian (rows, dim), and `NNNNN.jsonl`, an index
with one line per file. Lines are only ever appended: a changed file gets another line with a higher
revision, and so does a removed file, whose line has `removed`.
"""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.errors import MscolError
from mscol_cli.vectors.header import VectorHeader
from mscol_cli.vectors.records import IndexReader, VectorEntry, index_paths
from mscol_cli.vectors.shards import ShardFiles

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
_SCAN_ROWS = 8192


class VectorFolder:
    """Vectors of files by one model, as of the time when the folder was opened or refreshed.

    Attributes:
        path: The folder.
        header: Content of `vectors.json`.
    """

    def __init__(self, path: Path, header: VectorHeader) -> None:
        """Read the indexes. The folder may be missing; `header` is not compared with its own."""
        self.path, self.header = path, header
        self._newest: dict[str, VectorEntry] = {}
        self._indexes: dict[Path, IndexReader] = {}
        self._files = ShardFiles()
        self.refresh()

    @staticmethod
    def open(path: str | os.PathLike[str]) -> VectorFolder:
        """Open an existing folder.

        Raises:
            MissingDataError: The folder is missing, or is not a folder of vectors.
            UsageError: The header is damaged, or that of another version of mscol.
        """
        return VectorFolder(Path(path), VectorHeader.read(Path(path)))

    def refresh(self) -> set[str]:
        """Read lines that were added to the indexes meanwhile, and return their ids."""
        added = set()
        for path in index_paths(self.path):
            reader = self._indexes.setdefault(path, IndexReader(path))
            for entry in reader.read() if reader.has_grown else ():
                added.add(entry.id)
                known = self._newest.get(entry.id)
                if known is None or _rank(entry) >= _rank(known):
                    self._newest[entry.id] = entry
        if added:
            vars(self).pop("entries", None)
        return added

    @cached_property
    def entries(self) -> Sequence[VectorEntry]:
        """All files, in the order of their ids, with those that failed and without removed ones."""
        return [entry for _, entry in sorted(self._newest.items()) if not entry.removed]

    def find(self, name: str) -> VectorEntry | None:
        """The entry of an id; None if there is none, or the file was removed."""
        entry = self._newest.get(name)
        return None if entry is None or entry.removed else entry

    def next_revision(self, name: str) -> int:
        """Revision of a new line of an id."""
        return 1 + self._newest[name].revision if name in self._newest else 1

    def holds(self, entry: VectorEntry) -> bool:
        """Whether the shard of an entry is long enough to have its vectors."""
        end = (entry.row + entry.rows) * self.header.row_bytes
        try:
            return entry.rows == 0 or end <= self.shard_path(entry.shard).stat().st_size
        except OSError:
            return False

    def start_s(self, entry: VectorEntry) -> NDArray[np.float64]:
        """Start of the window of each vector of a file, (rows,) in seconds; 0 for a pooled one."""
        starts = np.arange(entry.rows, dtype=np.int64) * self.header.hop
        return starts.astype(np.float64) / self.header.sample_rate

    def read(self, entry: VectorEntry) -> FloatArray:
        """Read the vectors of a file, (rows, dim) float32, and check their CRC.

        Raises:
            MscolError: They are missing or damaged.
        """
        path = self.shard_path(entry.shard)
        try:
            content = self._content(entry)
        except OSError as error:
            raise MscolError(f"{path}: cannot be read ({error.strerror})") from error
        if not _is_intact(entry, content, self.header.row_bytes):
            raise MscolError(
                f"{path}: the vectors of {entry.id} are damaged: delete {path.name} and"
                f" {path.stem}.jsonl, and embed again"
            )
        vectors = np.frombuffer(content, self.header.dtype).reshape(entry.rows, self.header.dim)
        return vectors.astype(np.float32)

    def keeping_open(self) -> AbstractContextManager[None]:
        """Context in which one thread reads many files: each shard is opened once."""
        return self._files.kept()

    def is_intact(self, entry: VectorEntry) -> bool:
        """Whether the vectors of a file can be read and have their CRC."""
        try:
            return _is_intact(entry, self._content(entry), self.header.row_bytes)
        except OSError:
            return False

    def damaged(self, entries: Iterable[VectorEntry]) -> set[str]:
        """Ids of the files whose vectors are missing or do not have their CRC.

        Reads in the order of the disk, so it is faster than `is_intact` of many files.
        """
        damaged: set[str] = set()
        on_disk = sorted(entries, key=lambda entry: (entry.shard, entry.row))
        for shard, group in groupby(on_disk, key=lambda entry: entry.shard):
            try:
                mapped = self.mapped(shard)
            except MscolError:
                damaged |= {entry.id for entry in group if not self.is_intact(entry)}
                continue
            for number, entry in enumerate(group):
                vectors = mapped[entry.row : entry.row + entry.rows]
                if len(vectors) != entry.rows or zlib.crc32(vectors.data) != entry.crc32:
                    damaged.add(entry.id)
                if number % _SCAN_ROWS == 0:
                    release(mapped)
            release(mapped)
        return damaged

    def mapped(self, shard: int) -> NDArray[np.floating[Any]]:
        """Memory map of a shard, (rows, dim) in the precision of the folder.

        It also has rows of replaced and removed files: `entries` names those in use. Their CRC is
        not checked.

        Raises:
            MscolError: The shard is missing or truncated.
        """
        path, dim = self.shard_path(shard), self.header.dim
        ends = (entry.row + entry.rows for entry in self.entries if entry.shard == shard)
        rows = max(ends, default=0)
        if rows == 0:
            return np.zeros((0, dim), self.header.dtype)
        try:
            return np.memmap(path, self.header.dtype, "r", shape=(rows, dim))
        except (OSError, ValueError) as error:
            raise MscolError(
                f"{path}: is missing or truncated: delete it and {path.stem}.jsonl, and embed again"
            ) from error

    def owners(self) -> IntArray:
        """Index in `entries` of each row of `matrix`, (rows,)."""
        return np.repeat(np.arange(len(self.entries)), [entry.rows for entry in self.entries])

    def matrix(self) -> FloatArray:
        """All vectors in memory, (rows, dim) float32, file by file in the order of `entries`.

        Raises:
            MscolError: A shard is missing or truncated.
        """
        counts = [entry.rows for entry in self.entries]
        firsts = np.cumsum([0, *counts])
        matrix = np.empty((int(firsts[-1]), self.header.dim), np.float32)
        for vectors, owners, windows in self.scan():
            matrix[firsts[owners] + windows] = vectors
        return matrix

    def scan(self, rows: int = _SCAN_ROWS) -> Iterator[tuple[FloatArray, IntArray, IntArray]]:
        """Read all vectors in the order of the disk, in blocks of at most `rows`.

        Yields:
            Vectors (block, dim) float32, the index in `entries` of the file of each (block,), and
            its number among the vectors of this file (block,).

        Raises:
            MscolError: A shard is missing or truncated.
        """
        for shard in sorted({entry.shard for entry in self.entries if entry.rows}):
            mapped = self.mapped(shard)
            places, owners, windows = self._places(shard)
            for first in range(0, len(places), rows):
                part = slice(first, first + rows)
                yield (
                    mapped[places[part]].astype(np.float32, copy=False),
                    owners[part],
                    windows[part],
                )

    def shard_path(self, shard: int) -> Path:
        """File with the vectors of a shard."""
        return self.path / f"{shard:05d}{self.header.suffix}"

    def _content(self, entry: VectorEntry) -> bytes:
        start, wanted = entry.row * self.header.row_bytes, entry.rows * self.header.row_bytes
        with self._files.opened(self.shard_path(entry.shard)) as file:
            # read() allocates what is asked for, and a damaged header may ask for anything.
            left = os.fstat(file.fileno()).st_size - start
            if left <= 0:
                return b""
            file.seek(start)
            return file.read(min(wanted, left))

    def _places(self, shard: int) -> tuple[IntArray, IntArray, IntArray]:
        """Rows of a shard that are in use, ascending, with entry and number in it, (rows,) each."""
        found = [
            (entry.row, entry.rows, index)
            for index, entry in enumerate(self.entries)
            if entry.shard == shard and entry.rows
        ]
        first, count, owner = np.array(sorted(found), dtype=np.int64).reshape(-1, 3).T
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(first, count) + within, np.repeat(owner, count), within


def release(mapped: NDArray[Any]) -> None:
    """Unload the pages of a memory map, which count as memory of this process.

    The map can still be read.
    """
    pages = getattr(mapped, "_mmap", None)
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def _rank(entry: VectorEntry) -> tuple[int, int]:
    # Two processes may add the same file at once: the higher shard wins. In a shard the later line
    # of a revision replaces the earlier one.
    return entry.revision, entry.shard


def _is_intact(entry: VectorEntry, content: bytes, row_bytes: int) -> bool:
    return len(content) == entry.rows * row_bytes and zlib.crc32(content) == entry.crc32
