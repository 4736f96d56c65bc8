"""Windows that stay on disk: read by memory map when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.system.prefetch import map_ahead
from mscol_cli.vectors import release

IntArray = NDArray[np.int64]
Source = NDArray[np.floating[Any]]

MAX_BYTES = 1 << 30
"""On a CPU, at most this much of a split is kept in memory."""
_READ_ROWS = 2048


def max_bytes(device: torch.device) -> int:
    """Memory for windows on a device: 1 GiB on a CPU, half of the memory of a GPU."""
    if device.type != "cuda":
        return MAX_BYTES
    return int(torch.cuda.get_device_properties(device).total_memory) // 2


class MappedWindows:
    """Windows (windows, dim) in memory maps, in any order.

    Reading unloads the pages that it used, so memory does not grow with the windows.

    Args:
        sources: Arrays (rows, dim) float32, memory maps or in memory.
        places: (windows,) row of each window in the concatenated sources.
        device: Device on which windows are returned.
        lock: Kept as long as this object.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        places: IntArray,
        device: torch.device | None = None,
        lock: object = None,
    ) -> None:
        self._sources, self._places, self._lock = sources, places, lock
        self._starts = np.cumsum([0, *map(len, sources)])
        self.device = device or torch.device("cpu")

    def __len__(self) -> int:
        return len(self._places)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of windows, and their dimension."""
        return len(self._places), self._sources[0].shape[1]

    @property
    def nbytes(self) -> int:
        """Size of all windows in bytes."""
        return 4 * len(self) * self.shape[1]

    def __getitem__(self, rows: slice) -> Tensor:
        """Read a range of windows, (rows, dim)."""
        return self._read(self._places[rows]).to(self.device)

    def select(self, kept: NDArray[np.bool_]) -> MappedWindows:
        """Select windows by a mask (windows,)."""
        return MappedWindows(self._sources, self._places[kept], self.device, self._lock)

    def to(self, device: torch.device) -> Tensor | MappedWindows:
        """Move windows to a device: at once if they fit there, else whenever they are read."""
        moved = MappedWindows(self._sources, self._places, device, self._lock)
        fits = device.type == "cuda" and self.nbytes <= max_bytes(device)
        return moved.load() if fits else moved

    def load(self) -> Tensor:
        """Read all windows into memory of the device, (windows, dim)."""
        windows = torch.empty(self.shape, device=self.device)
        first = 0
        for block in self.blocks(_READ_ROWS):
            windows[first : first + len(block)] = block
            first += len(block)
        return windows

    def blocks(self, rows: int) -> Iterator[Tensor]:
        """Read all windows in order, in blocks of `rows`, one block ahead."""
        places = (self._places[first : first + rows] for first in range(0, len(self), rows))
        for block in map_ahead(self._read, places, 1):
            yield block.to(self.device)

    def batches(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """Read batches of windows, several at once and ahead.

        Args:
            batches: Numbers of windows (batch,).

        Yields:
            Windows (batch, dim).
        """
        for sizes, windows in map_ahead(self._read_group, _groups(batches), 1):
            yield from torch.split(windows.to(self.device), sizes)

    def _read_group(self, group: Sequence[Tensor]) -> tuple[list[int], Tensor]:
        rows = torch.cat(list(group)).cpu().numpy()
        return [len(batch) for batch in group], self._read(self._places[rows])

    def _read(self, places: IntArray) -> Tensor:
        """Windows (places, dim), read in the order of the disk."""
        order = np.argsort(places, kind="stable")
        in_order = places[order]
        ends = np.searchsorted(in_order, self._starts)
        values = np.empty((len(places), self.shape[1]), np.float32)
        for source, start, first, end in zip(
            self._sources, self._starts, ends, ends[1:], strict=False
        ):
            if first < end:
                rows = in_order[first:end] - start
                values[order[first:end]] = np.asarray(source)[rows]
                release(source)
        return torch.from_numpy(values)


def _groups(batches: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    group: list[Tensor] = []
    for batch in batches:
        group.append(batch)
        if sum(map(len, group)) >= _READ_ROWS:
            yield group
            group = []
    if group:
        yield group
