"""Appending to JSON lines files. A track's line is written after its data is on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mscol_cli.errors import MscolError
from mscol_cli.store.records import TrackRecord, read_tracks
from mscol_cli.system.files import whole_lines, without_links
from mscol_cli.system.locks import Lock


class Journal:
    """A file of tracks that one process appends to. The file may be missing at first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole = whole_lines(path)
        self._lock = Lock(path)
        self._file: BinaryIO | None = None

    def open(self) -> None:
        """Lock the journal for this process and cut off an incomplete last line.

        Raises:
            MscolError: Another process is writing, or has written since `__init__`.
        """
        self._file = open(self._path, "ab", opener=without_links)  # noqa: SIM115
        if not self._lock.take() or whole_lines(self._path) != self._whole:
            self.close()
            raise MscolError(
                f"{self._path.parent}: another mscol is writing it; wait until it ends"
            )
        self._file.truncate(self._whole)

    def append(self, record: TrackRecord) -> None:
        """Write one record and flush it to disk."""
        if self._file is None:
            raise ValueError("the journal is not open")
        line = record.to_line().encode()
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._whole += len(line)

    def close(self) -> None:
        """Close and unlock."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()


def append_shared(path: Path, first: str, line: str = "") -> None:
    """Append to a file that several processes write, after its last complete line.

    Args:
        path: The file; must exist or be creatable by the lock.
        first: First line of a new file, with its line end.
        line: Line to append, with its line end; empty appends nothing.

    Raises:
        MscolError: The file system does not support locks.
    """
    with Lock(path), open(path, "r+b", opener=without_links) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            end = end if file.read(1) == b"\n" else whole_lines(path)
        file.truncate(end)
        file.seek(end)
        file.write(((first if end == 0 else "") + line).encode())
        file.flush()
        os.fsync(file.fileno())


def whole_tracks(path: Path) -> Iterator[TrackRecord]:
    """Records of a `tracks.jsonl` whose last line may be incomplete.

    Raises:
        MscolError: A line is damaged.
    """
    return read_tracks(path, whole_lines(path))
