"""A store in the memory of the device, where crops are cut by index and nothing is copied."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor

from mscol_cli.contracts.levels import Level
from mscol_cli.contracts.plans import Crops
from mscol_cli.errors import UsageError
from mscol_cli.store import Store
from mscol_cli.system.units import format_bytes

ROOM_FOR_THE_STEP = 0.4
"""Share of a GPU's memory that `auto` leaves to weights and activations."""
BYTES_PER_SAMPLE = 2


class DeviceStore:
    """All waveforms of a store, int16, on one device.

    Attributes:
        device: Where they are.
    """

    def __init__(self, store: Store, level: Level, device: torch.device) -> None:
        """Read the whole store, once.

        Raises:
            UsageError: It is larger than what the device has left.
        """
        _require_room(store, device)
        self.device = device
        samples = store.track_samples
        sources = len(store.header.sources)
        offset = _offsets(samples, sources)
        self._samples = torch.zeros(int(samples.sum()) * sources, dtype=torch.int16, device=device)
        for track, row in enumerate(offset):
            for source, first in enumerate(row):
                stored = torch.from_numpy(np.array(store.stored(track, source)))
                self._samples[first : first + len(stored)].copy_(stored)
        self._offset = torch.from_numpy(offset).to(device)
        self._length = torch.from_numpy(np.array(samples)).to(device)
        self._factor = torch.from_numpy(store.factors(level)).to(device)

    def waveforms(self, crops: Crops, samples: int) -> Tensor:
        """Cut crops; those that a track is too short for end in zeros.

        Args:
            crops: Where to cut, (batch,) each; starts are not negative.
            samples: Length of every crop.

        Returns:
            (batch, samples) float32 on the device, at the level that was asked for: bit for bit
            what `Store.gather` gives.
        """
        track, source, start = (
            copied(torch.from_numpy(np.ascontiguousarray(indices, np.int64)), self.device)
            for indices in (crops.track, crops.source, crops.start)
        )
        ahead = torch.arange(samples, device=self.device)
        inside = ahead < (self._length[track] - start)[:, None]
        place = (self._offset[track, source] + start)[:, None] + ahead
        stored = self._samples[torch.where(inside, place, 0)]
        return torch.where(inside, stored, 0).float() * self._factor[track, source][:, None]


def store_bytes(store: Store) -> int:
    """What the waveforms of a store take, in bytes."""
    return int(store.track_samples.sum()) * len(store.header.sources) * BYTES_PER_SAMPLE


def goes_on_device(place: str, store: Store, device: torch.device) -> bool:
    """Whether to hold a store on the device. `auto`: on a GPU with room left for the step."""
    if place != "auto" or device.type != "cuda":
        return place == "device"
    return leaves_room(store_bytes(store), *torch.cuda.mem_get_info(device))


def leaves_room(needed: int, free: int, total: int) -> bool:
    """Whether a store of `needed` bytes leaves a GPU with enough for the step; all in bytes."""
    return needed <= free - ROOM_FOR_THE_STEP * total


def _require_room(store: Store, device: torch.device) -> None:
    needed = store_bytes(store)
    if needed > (free := _free_bytes(device)):
        raise UsageError(
            f"--store-on device: {store.path} takes {format_bytes(needed)}, {device} has"
            f" {format_bytes(free)} left: use --store-on host."
        )


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _offsets(samples: np.typing.NDArray[np.int64], sources: int) -> np.typing.NDArray[np.int64]:
    """(tracks, sources), where each begins when all lie end to end."""
    lengths = np.repeat(samples, sources)
    first: np.typing.NDArray[np.int64] = np.cumsum(lengths) - lengths
    return first.reshape(len(samples), sources)


def pinned(host: Tensor, device: torch.device) -> Tensor:
    """Page-locked where a GPU fetches it: the copy then goes on beside the step."""
    return host.pin_memory() if device.type == "cuda" else host


def copied(host: Tensor, device: torch.device) -> Tensor:
    """On the device, without waiting for it."""
    return pinned(host, device).to(device, non_blocking=True)
