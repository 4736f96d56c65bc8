"""Embedded windows of one split, and the labels of their clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import tee

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.probe.mapped import MappedWindows

Windows = Tensor | MappedWindows
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Weights = NDArray[np.float32]
"""(clips, resamples) number of times that each clip is in a resample."""


@dataclass(frozen=True)
class ClipWindows:
    """Embedded clips of one split.

    Attributes:
        windows: (windows, dim) float32 embeddings, concatenated over clips, in memory or on disk.
        counts: (clips,) int64 windows per clip, at least one.
        targets: (clips, classes) labels.
    """

    windows: Windows
    counts: NDArray[np.int64]
    targets: BoolArray

    @staticmethod
    def of(clips: Sequence[NDArray[np.float32]], targets: BoolArray) -> ClipWindows:
        """Join the windows (windows, dim) of clips with targets (clips, classes)."""
        counts = np.array([len(windows) for windows in clips], dtype=np.int64)
        return ClipWindows(torch.from_numpy(np.concatenate(clips)), counts, targets)

    def to(self, device: torch.device) -> ClipWindows:
        """Move the windows to a device."""
        return ClipWindows(self.windows.to(device), self.counts, self.targets)

    def owners(self) -> Tensor:
        """(windows,) int64 row of the clip of each window, on the device of the windows."""
        rows = np.repeat(np.arange(len(self.counts)), self.counts)
        return torch.from_numpy(rows).to(self.windows.device)

    def sum_by_clip(self, values: NDArray[np.float32]) -> FloatArray:
        """Sum values (windows, classes) over the windows of each clip; returns (clips, classes)."""
        starts = np.cumsum(self.counts) - self.counts
        return np.add.reduceat(values, starts, axis=0, dtype=np.float64)


def select(windows: Windows, kept: BoolArray) -> Windows:
    """Select windows by a mask (windows,)."""
    if isinstance(windows, MappedWindows):
        return windows.select(kept)
    return windows[torch.from_numpy(kept)]


def blocks(windows: Windows, rows: int) -> Iterator[Tensor]:
    """Iterate over windows in order, in blocks (rows, dim)."""
    if isinstance(windows, MappedWindows):
        return windows.blocks(rows)
    return iter(torch.split(windows, rows))


def batches_of(windows: Windows, batches: Iterator[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate over batches of windows.

    Args:
        windows: Windows (windows, dim).
        batches: Numbers of windows (batch,).

    Yields:
        Numbers (batch,) and windows (batch, dim), on the device of the windows.
    """
    if not isinstance(windows, MappedWindows):
        for rows in batches:
            rows = rows.to(windows.device)
            yield rows, windows[rows]
        return
    ahead, listed = tee(batches)
    for rows, batch in zip(listed, windows.batches(ahead), strict=True):
        yield rows.to(windows.device), batch
