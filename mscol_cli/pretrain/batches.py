"""Training batches: crops of each update, read ahead of the step that needs them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.contracts.levels import Level
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.plans import CropPlan
from mscol_cli.host.checks.objective import plan_batch
from mscol_cli.pretrain.device_store import DeviceStore, copied, keeps_on_device, pinned
from mscol_cli.store import Store
from mscol_cli.system import distributed
from mscol_cli.system.prefetch import map_ahead

READ_AHEAD = {"cpu": 2, "cuda": 4}
"""Number of updates whose crops are read ahead, each in a thread. On a CPU, reading takes time from
the updates."""


@dataclass(frozen=True)
class Batch:
    """This process's rows of one update.

    Attributes:
        waveforms: (rows, samples) float32 at the encoder's level, by view.
        labels: (rows, ...) labels of the plan, by name.
    """

    waveforms: dict[str, Tensor]
    labels: dict[str, Tensor]


_Stored = tuple[Tensor, Tensor]
"""Crops as stored, int16 and a factor per row: half the bytes to copy to a device. Crops with gains
are mixed on the host, float32."""


@dataclass(frozen=True)
class CropSource:
    """Source of training batches.

    Attributes:
        store: The sealed store.
        objective: The objective, which plans the crops.
        batch_size: Rows of the global batch.
        crop_samples: Length of a crop, in samples.
        level: Level to which clips are scaled.
        seed: Seed of the run; seed and step determine every plan.
        store_on: Where the store is kept: `auto`, `device` or `host`.
    """

    store: Store
    objective: Objective
    batch_size: int
    crop_samples: int
    level: Level
    seed: int
    store_on: str = "auto"

    def plan(self, step: int) -> CropPlan:
        """Plan the global batch of an update: the same in every process, and after a resume.

        Raises:
            PluginError: The plan breaks its contract, such as by a crop outside its track.
            PluginCallError: The objective raised an exception.
        """
        rng, where = np.random.default_rng([self.seed, step]), f"step {step + 1}"
        index, size = self.store.index, self.batch_size
        return plan_batch(self.objective, index, rng, size, self.crop_samples, where)

    def batches(self, start: int, stop: int, device: torch.device) -> Generator[Batch, None, None]:
        """Yield this process's rows of updates `start` to `stop` (exclusive)."""
        resident: DeviceStore | None = None
        if keeps_on_device(self.store_on, self.store, device):
            resident = DeviceStore(self.store, self.level, device)

        def prepare(step: int) -> tuple[CropPlan, dict[str, _Stored]]:
            plan = self.plan(step).rows(distributed.share(self.batch_size))
            return plan, {} if resident is not None else self._read(plan, device)

        for plan, read in map_ahead(prepare, range(start, stop), READ_AHEAD[device.type]):
            if resident is None:
                waveforms = {view: _scaled(stored, device) for view, stored in read.items()}
            else:
                waveforms = {
                    view: resident.waveforms(crops, self.crop_samples)
                    for view, crops in plan.views.items()
                }
            yield Batch(waveforms, _labels(plan.labels, device))

    def _read(self, plan: CropPlan, device: torch.device) -> dict[str, _Stored]:
        return {
            view: _pinned(self.store.gather(crops, self.crop_samples, self.level), device)
            for view, crops in plan.views.items()
        }


class BatchStream:
    """Batches of consecutive updates, whose store can leave the device.

    Attributes:
        source: Source of the batches; its `store_on` is where the store is: `device` or `host`.
    """

    def __init__(self, source: CropSource, start: int, stop: int, device: torch.device) -> None:
        """Read batches of updates `start` to `stop` (exclusive)."""
        on_device = keeps_on_device(source.store_on, source.store, device)
        self._may_leave = on_device and source.store_on == "auto"
        self.source = replace(source, store_on="device" if on_device else "host")
        self._step, self._stop, self._device = start, stop, device
        self._first: Batch | None = None
        self._batches = self._opened()

    def __iter__(self) -> BatchStream:
        return self

    def __next__(self) -> Batch:
        batch = self.first()
        if batch is None:
            raise StopIteration
        self._first = None
        return batch

    def first(self) -> Batch | None:
        """The next batch, without removing it; None after the last one."""
        if self._first is None and self._step < self._stop:
            self._first = next(self._batches)
            self._step += 1
        return self._first

    def leave_device(self) -> bool:
        """Read the store from the host from now on, to free memory of the device.

        Returns:
            Whether this frees memory. It does not if the store is on the host, or on the device
            because of `--store-on device`.
        """
        if not self._may_leave:
            return False
        self._may_leave = False
        self.close()
        self.source = replace(self.source, store_on="host")
        self._batches = self._opened()
        return True

    def close(self) -> None:
        """Stop reading ahead, and free the store."""
        self._batches.close()

    def _opened(self) -> Generator[Batch, None, None]:
        return self.source.batches(self._step, self._stop, self._device)


def _labels(labels: Mapping[str, NDArray[np.generic]], device: torch.device) -> dict[str, Tensor]:
    return {
        name: copied(torch.from_numpy(np.ascontiguousarray(_exchangeable(label))), device)
        for name, label in labels.items()
    }


def _exchangeable(label: NDArray[np.generic]) -> NDArray[np.generic]:
    """Widen the integers that processes cannot exchange: NCCL and gloo have 8, 32 and 64 bits."""
    known = (np.uint8, np.int8, np.int32, np.int64)
    is_missing = label.dtype.kind in "iu" and label.dtype not in known
    return label.astype(np.int64) if is_missing else label


def _pinned(
    gathered: tuple[NDArray[np.int16] | NDArray[np.float32], NDArray[np.float32]],
    device: torch.device,
) -> _Stored:
    samples, factor = gathered
    return pinned(torch.from_numpy(samples), device), pinned(torch.from_numpy(factor), device)


def _scaled(stored: _Stored, device: torch.device) -> Tensor:
    """Copy crops to the device, and convert them there to float32 at the clip's level."""
    samples, factor = (part.to(device, non_blocking=True) for part in stored)
    return samples.float() * factor[:, None]
