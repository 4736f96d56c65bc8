"""Embedded windows of one split, and the labels of their clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Weights = NDArray[np.float32]
"""(clips, resamples) number of times that each clip is in a resample."""


@dataclass(frozen=True)
class ClipWindows:
    """Embedded clips of one split.

    Attributes:
        windows: (windows, dim) float32 embeddings, concatenated over clips.
        counts: (clips,) int64 windows per clip, at least one.
        targets: (clips, classes) labels.
    """

    windows: Tensor
    counts: NDArray[np.int64]
    targets: BoolArray

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
