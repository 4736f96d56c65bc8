"""From plan to tensors: the crops of each update, read ahead of the step that needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.contracts.levels import Level
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.plans import CropPlan, Crops
from mscol_cli.host.checks.objective import validate_plan
from mscol_cli.host.guard import guarded, label_of
from mscol_cli.pretrain.device_store import DeviceStore, copied, goes_on_device, pinned
from mscol_cli.store import Store
from mscol_cli.system import distributed
from mscol_cli.system.prefetch import map_ahead

READ_AHEAD = 2
"""Updates whose crops are made while another is worked on."""


@dataclass(frozen=True)
class Batch:
    """This process's rows of one update.

    Attributes:
        waveforms: By view, (rows, samples) float32, every clip at the encoder's level.
        labels: The plan's labels, rows first.
    """

    waveforms: dict[str, Tensor]
    labels: dict[str, Tensor]


@dataclass(frozen=True)
class CropSource:
    """Where batches come from.

    Attributes:
        store: The sealed store.
        objective: Whose plan is followed.
        batch_size: Rows of the global batch.
        crop_samples: Length of a crop.
        level: What whole clips are scaled to.
        seed: Of the run; with the step it decides every plan.
        place: Where the store is held, `auto`, `device` or `host`.
    """

    store: Store
    objective: Objective
    batch_size: int
    crop_samples: int
    level: Level
    seed: int
    place: str = "auto"

    def plan(self, step: int) -> CropPlan:
        """The whole batch of an update: the same on every process, and after every resume.

        Raises:
            PluginError: A crop lies outside its track, or the plan breaks its contract otherwise.
            PluginCallError: The objective raised an exception.
        """
        rng, index = np.random.default_rng([self.seed, step]), self.store.index
        plan = guarded(self.objective, self.objective.plan, f"step {step + 1}")(
            index, rng, self.batch_size
        )
        label = label_of(self.objective)
        validate_plan(plan, index, self.crop_samples, self.batch_size, label)
        return plan

    def batches(self, start: int, stop: int, device: torch.device) -> Iterator[Batch]:
        """This process's share of updates `start` to `stop`, made while earlier ones are used."""
        held: DeviceStore | None = None
        if goes_on_device(self.place, self.store, device):
            held = DeviceStore(self.store, self.level, device)

        def ready(step: int) -> _Ready:
            plan = self.plan(step).rows(distributed.share(self.batch_size))
            return _Planned(plan, held, self.crop_samples) if held else self._read(plan, device)

        for made in map_ahead(ready, range(start, stop), READ_AHEAD):
            yield made.to(device)

    def _read(self, plan: CropPlan, device: torch.device) -> _Read:
        crops = {
            view: _on_host(self.store.gather(crops, self.crop_samples, self.level), device)
            for view, crops in plan.views.items()
        }
        return _Read(crops, plan.labels)


class _Ready(Protocol):
    """An update of which all is known that the host has to find out."""

    def to(self, device: torch.device) -> Batch:
        """Make its tensors on the device."""


@dataclass(frozen=True)
class _Read:
    """Crops as stored, int16 and a factor per row: half the bytes to move to a device."""

    samples: Mapping[str, tuple[Tensor, Tensor]]
    labels: Mapping[str, NDArray[np.generic]]

    def to(self, device: torch.device) -> Batch:
        """Move to the device, and only there turn into float32 at the clip's level."""
        waveforms = {
            view: stored.to(device, non_blocking=True).float()
            * factor.to(device, non_blocking=True)[:, None]
            for view, (stored, factor) in self.samples.items()
        }
        return Batch(waveforms, _labels(self.labels, device))


@dataclass(frozen=True)
class _Planned:
    """Where to cut: the store is on the device already."""

    plan: CropPlan
    store: DeviceStore
    crop_samples: int

    def to(self, device: torch.device) -> Batch:
        """Cut on the device."""
        views: Mapping[str, Crops] = self.plan.views
        waveforms = {
            view: self.store.waveforms(crops, self.crop_samples) for view, crops in views.items()
        }
        return Batch(waveforms, _labels(self.plan.labels, device))


def _labels(labels: Mapping[str, NDArray[np.generic]], device: torch.device) -> dict[str, Tensor]:
    return {
        name: copied(torch.from_numpy(np.ascontiguousarray(label)), device)
        for name, label in labels.items()
    }


def _on_host(
    gathered: tuple[NDArray[np.int16], NDArray[np.float32]], device: torch.device
) -> tuple[Tensor, Tensor]:
    stored, factor = gathered
    return pinned(torch.from_numpy(stored), device), pinned(torch.from_numpy(factor), device)
