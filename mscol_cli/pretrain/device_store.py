"""A store in the memory of the device, from which crops are cut by index."""

from __future__ import annotations

import os
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mscol_cli.contracts.levels import Level
from mscol_cli.contracts.plans import Crops
from mscol_cli.errors import UsageError
from mscol_cli.store import Store
from mscol_cli.system.units import format_bytes

RESERVED_MEMORY = 0.4
"""Share of a GPU's memory that `auto` reserves for weights and activations."""
BYTES_PER_SAMPLE = 2


class DeviceStore:
    """All waveforms of a store, int16, on one device."""

    def __init__(self, store: Store, level: Level, device: torch.device) -> None:
        """Copy the store to the device.

        Raises:
            UsageError: The store is larger than the free memory of the device.
        """
        _check_memory(store, device)
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
        self._mix_factors = partial(store.mix_factors, level=level)

    def waveforms(self, crops: Crops, samples: int) -> Tensor:
        """Cut crops, padded with zeros where a track is too short.

        Args:
            crops: (batch,) crops; starts are not negative.
            samples: Length of a crop, in samples.

        Returns:
            (batch, samples) float32 on the device, at the level of the store: identical to
            `Store.gather`.
        """
        track, source, start = (
            copied(torch.from_numpy(np.ascontiguousarray(indices, np.int64)), self.device)
            for indices in (crops.track, crops.source, crops.start)
        )
        if crops.gains is None:
            return self._cut(track, source, start, samples) * self._factor[track, source][:, None]
        host_factors = torch.from_numpy(self._mix_factors(crops.track, crops.gains))
        factors = copied(host_factors, self.device)
        mix = torch.zeros(len(track), samples, device=self.device)
        for row, factor in enumerate(factors.unbind(1)):
            mix += self._cut(track, torch.full_like(track, row), start, samples) * factor[:, None]
        return mix

    def _cut(self, track: Tensor, source: Tensor, start: Tensor, samples: int) -> Tensor:
        sample = torch.arange(samples, device=self.device)
        inside = sample < (self._length[track] - start)[:, None]
        index = (self._offset[track, source] + start)[:, None] + sample
        stored = self._samples[torch.where(inside, index, 0)]
        return torch.where(inside, stored, 0).float()


def store_bytes(store: Store) -> int:
    """Size of the waveforms of a store, in bytes."""
    return int(store.track_samples.sum()) * len(store.header.sources) * BYTES_PER_SAMPLE


def keeps_on_device(store_on: str, store: Store, device: torch.device) -> bool:
    """Whether to keep a store on the device. `auto`: on a GPU with enough free memory."""
    if store_on != "auto" or device.type != "cuda":
        return store_on == "device"
    return fits_beside_step(store_bytes(store), *torch.cuda.mem_get_info(device))


def fits_beside_step(needed: int, free: int, total: int) -> bool:
    """Whether a store of `needed` bytes leaves enough memory for training; all in bytes."""
    return needed <= free - RESERVED_MEMORY * total


def _check_memory(store: Store, device: torch.device) -> None:
    needed = store_bytes(store)
    if needed > (free := _free_bytes(device)):
        raise UsageError(
            f"--store-on device: {store.path} needs {format_bytes(needed)}, {device} has"
            f" {format_bytes(free)} free: use --store-on host."
        )


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _offsets(samples: np.typing.NDArray[np.int64], sources: int) -> np.typing.NDArray[np.int64]:
    """(tracks, sources) first samples of waveforms that are concatenated."""
    lengths = np.repeat(samples, sources)
    first: np.typing.NDArray[np.int64] = np.cumsum(lengths) - lengths
    return first.reshape(len(samples), sources)


def pinned(host: Tensor, device: torch.device) -> Tensor:
    """Pin memory for a GPU, so that the host does not wait for the copy."""
    return host.pin_memory() if device.type == "cuda" else host


def copied(host: Tensor, device: torch.device) -> Tensor:
    """Copy to the device without waiting for it."""
    return pinned(host, device).to(device, non_blocking=True)
