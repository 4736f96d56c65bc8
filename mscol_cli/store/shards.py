"""Samples of the shards, memory-mapped: crops at random places, and complete tracks."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mscol_cli.store.arrays import open_samples
from mscol_cli.store.header import shard_name
from mscol_cli.system.files import open_files_limit

IntSamples = NDArray[np.int16]
MAPS = 16_384
"""Most maps at once: Linux permits 65,530 to a process."""


class Shards:
    """Memory maps of the shards that were used last.

    A map keeps its file open, and a process may open about a thousand files. So a map that was not
    used for long is dropped and, when needed, made again.
    """

    def __init__(self, folder: Path) -> None:
        """Read shards of the store in `folder`."""
        self._folder = folder
        # The other half is for the rest of the program, and for a second store.
        self._recent = lru_cache(min(open_files_limit() // 2, MAPS))(self._map)

    def samples(self, shard: int) -> IntSamples:
        """All samples of a shard, to be read in order. Raises MscolError if it is not valid."""
        return self._recent(shard, False).samples

    def crops(self, places: Iterable[tuple[int, int, int]]) -> list[IntSamples]:
        """Crops at random places.

        The kernel reads them at the same time, and nothing around them: what it would read ahead is
        not used, if the store is larger than the memory.

        Args:
            places: Shard, first sample and number of samples of each crop.

        Raises:
            MscolError: A shard is not valid.
        """
        crops = []
        for shard, first, count in places:
            mapped = self._recent(shard, True)
            mapped.announce(first, count)
            crops.append(mapped.samples[first : first + count])
        return crops

    def _map(self, shard: int, scattered: bool) -> _Mapped:
        array = open_samples(self._folder / shard_name(shard))
        # Windows takes no advice on maps.
        pages = getattr(array, "_mmap", None) if hasattr(mmap, "MADV_WILLNEED") else None
        if scattered and pages is not None:
            pages.madvise(mmap.MADV_RANDOM)
        return _Mapped(np.asarray(array), pages)


@dataclass(frozen=True)
class _Mapped:
    """A shard, and the map that its samples are at the end of."""

    samples: IntSamples
    pages: mmap.mmap | None

    def announce(self, first: int, count: int) -> None:
        """Let the kernel begin to read a range, without waiting for it."""
        if self.pages is None or not 0 <= first < len(self.samples):
            return
        begin = len(self.pages) - 2 * (len(self.samples) - first)
        page = begin - begin % mmap.PAGESIZE
        self.pages.madvise(mmap.MADV_WILLNEED, page, begin - page + 2 * count)
