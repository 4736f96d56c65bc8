"""A folder of vectors, ready to be searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mscol_cli.errors import MissingDataError
from mscol_cli.similar.search import ClipVectors
from mscol_cli.vectors import VectorEntry, VectorFolder


@dataclass(frozen=True)
class Library:
    """The clips of a folder that have vectors.

    Attributes:
        folder: The folder.
        entries: Its clips, in the order of their ids.
        vectors: Their vectors, in the same order, as memory maps.
    """

    folder: VectorFolder
    entries: Sequence[VectorEntry]
    vectors: ClipVectors

    @staticmethod
    def open(path: Path) -> Library:
        """Open a folder of vectors.

        Raises:
            MissingDataError: The folder is missing, is not a folder of vectors, or has none.
            UsageError: Its header is damaged, or that of another version of mscol.
            MscolError: A shard is missing or truncated.
        """
        folder = VectorFolder.open(path)
        entries = [entry for entry in folder.entries if entry.rows]
        if not entries:
            raise MissingDataError(f"{path} has no vectors yet: fill it with 'mscol embed'.")
        numbers = sorted({entry.shard for entry in entries})
        shards = [folder.mapped(number) for number in numbers]
        starts = np.cumsum([0, *map(len, shards)])
        start = {number: int(starts[row]) for row, number in enumerate(numbers)}
        first = np.array([start[entry.shard] + entry.row for entry in entries], dtype=np.int64)
        counts = np.array([entry.rows for entry in entries], dtype=np.int64)
        return Library(folder, entries, ClipVectors(shards, first, counts))

    @cached_property
    def number(self) -> Mapping[str, int]:
        """Number of each clip by id."""
        return {entry.id: number for number, entry in enumerate(self.entries)}

    @cached_property
    def by_path(self) -> Mapping[str, int]:
        """Number of each clip by the absolute path of its file; of several, the last."""
        return {entry.path: number for number, entry in enumerate(self.entries)}

    @cached_property
    def by_size(self) -> Mapping[int, Sequence[int]]:
        """Numbers of the clips with a hash, by the size of their files in bytes."""
        found: dict[int, list[int]] = {}
        for number, entry in enumerate(self.entries):
            if entry.sha256 is not None:
                found.setdefault(entry.size, []).append(number)
        return found

    @property
    def has_windows(self) -> bool:
        """Whether a clip has one vector per window."""
        return self.folder.header.pool == "none"

    def start_s(self, row: int) -> float | None:
        """Start in seconds of a window of a clip; None in a folder of pooled vectors."""
        header = self.folder.header
        return row * header.hop / header.sample_rate if self.has_windows else None

    def row_at(self, at_s: float, windows: int) -> int:
        """Window of a clip that starts nearest to a moment in seconds, of so many windows."""
        header = self.folder.header
        return min(round(at_s * header.sample_rate / header.hop), windows - 1)
