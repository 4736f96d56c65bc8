"""From plan to tensors: the crops of each update, read ahead of the step that needs them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli import distributed
from mscol_cli.contracts.levels import Level
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.plans import CropPlan
from mscol_cli.store import Store


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
    """

    store: Store
    objective: Objective
    batch_size: int
    crop_samples: int
    level: Level
    seed: int

    def plan(self, step: int) -> CropPlan:
        """The whole batch of an update: the same on every process, and after every resume."""
        rng = np.random.default_rng([self.seed, step])
        return self.objective.plan(self.store.index, rng, self.batch_size)

    def batches(self, start: int, stop: int, device: torch.device) -> Iterator[Batch]:
        """This process's share of updates `start` to `stop`, each read while the last is used."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            ahead: Future[_Read] | None = None
            for step in range(start, stop):
                ready = ahead.result() if ahead else self._read(step)
                ahead = reader.submit(self._read, step + 1) if step + 1 < stop else None
                yield ready.to(device)

    def _read(self, step: int) -> _Read:
        plan = self.plan(step).rows(distributed.share(self.batch_size))
        samples = {
            view: self.store.gather(crops, self.crop_samples, self.level)
            for view, crops in plan.views.items()
        }
        return _Read(samples, dict(plan.labels))


@dataclass(frozen=True)
class _Read:
    """Crops as stored, int16 and a factor per row: half the bytes to move to a device."""

    samples: dict[str, tuple[NDArray[np.int16], NDArray[np.float32]]]
    labels: dict[str, NDArray[np.generic]]

    def to(self, device: torch.device) -> Batch:
        """Move to the device, and only there turn into float32 at the clip's level."""
        waveforms = {}
        for view, (stored, scale) in self.samples.items():
            factor = torch.from_numpy(scale).to(device, non_blocking=True)
            waveforms[view] = torch.from_numpy(stored).to(device).float() * factor[:, None]
        labels = {name: torch.from_numpy(label).to(device) for name, label in self.labels.items()}
        return Batch(waveforms, labels)
