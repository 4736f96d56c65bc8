"""Waveforms for tests of what changes them, and a store of tracks to cut them from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.api import StoreIndex

RATE = 16_000
"""Hz."""
Waveform = NDArray[np.float64]


def noise(rows: int, samples: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(rows, samples, generator=generator, dtype=torch.float64)


def parameters(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def sines(frequencies: list[float], samples: int) -> Tensor:
    time = torch.arange(samples, dtype=torch.float64) / RATE
    return torch.sin(2 * torch.pi * torch.tensor(frequencies).double()[:, None] * time)


def make_index(*track_samples: int) -> StoreIndex:
    """A store of tracks of that many samples, one segment each."""
    tracks = len(track_samples)
    level = np.full((tracks, 2), 0.1, np.float32)
    return StoreIndex(
        sources=("mixture", "drums"),
        sample_rate=16_000,
        track_ids=tuple(f"t{track}" for track in range(tracks)),
        track_samples=np.array(track_samples),
        segment_track=np.arange(tracks),
        segment_start=np.zeros(tracks, np.int64),
        segment_samples=np.array(track_samples),
        segment_level=level,
        published_level=level,
    )
