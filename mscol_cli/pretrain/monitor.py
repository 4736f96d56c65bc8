"""Values monitored during training, and the detection of collapsed embeddings."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.watched import ONLINE_PROBE
from mscol_cli.engine.devices import memory_in_use
from mscol_cli.errors import MscolError
from mscol_cli.pretrain.geometry import geometry
from mscol_cli.pretrain.step import Pretraining
from mscol_cli.runs.layout import checkpoint_folders
from mscol_cli.runs.metrics import read_metrics
from mscol_cli.system import distributed

DENSE, SPARSE = 1000, 200
"""The geometry of embeddings is computed at every logged step up to `DENSE`, then only at multiples
of `SPARSE`: it takes the host 10 ms or more, the time of several updates on a GPU."""
LOWEST_RANK = 1.5
"""Effective rank below which embeddings differ in little more than their length."""
HEALTHY_RANK = 2 * LOWEST_RANK
PATIENCE = 5
"""Number of consecutive low ranks that stop a run; a single one may be due to an odd batch."""


class OnlineProbe(Protocol):
    """A cheap score of the encoder during training."""

    @property
    def task(self) -> str:
        """Name of the task."""

    @property
    def every(self) -> int:
        """Number of updates between two scores."""

    def score(self, encoder: Encoder, device: torch.device) -> float | None:
        """Score the encoder without changing it or any random state. None in processes other than
        the first."""


class TrainingMonitor:
    """Monitors a run; all processes compute the same values, from the gathered batch."""

    def __init__(self, run: Path, device: torch.device, probe: OnlineProbe | None) -> None:
        self._run, self._device, self._probe = run, device, probe
        self._guard = CollapseGuard()
        self._last: Mapping[str, float] = {}
        self._elapsed, self._since = 0.0, time.perf_counter()

    def begin(self, step: int) -> None:
        """Read earlier ranks and training time of a run after `step` updates."""
        past = [line for line in read_metrics(self._run) if line["step"] <= step]
        ranks = [(int(line["step"]), line["effective_rank"]) for line in past if _ranked(line)]
        self._guard = CollapseGuard(ranks)
        self._elapsed = max((line.get("elapsed_s", 0.0) for line in past), default=0.0)
        self._since = time.perf_counter()

    def start(self, step: int, model: Pretraining) -> None:
        """Observe the rank of the first update, which is not logged."""
        if step == 1 and (rank := geometry(model.embeddings()).get("effective_rank")) is not None:
            self._guard.observe(step, rank)

    @property
    def is_suspect(self) -> bool:
        """Whether the last observed rank was low."""
        return self._guard.is_suspect

    def measure(self, step: int, model: Pretraining) -> dict[str, float]:
        """Measure all values after an update."""
        values = {"gradient_norm": gradient_norm(model)}
        if step <= DENSE or step % SPARSE == 0:
            self._last = geometry(model.embeddings())
            values |= self._last
        if (rank := values.get("effective_rank")) is not None:
            self._guard.observe(step, rank)
        if (memory := memory_in_use(self._device)) is not None:
            values["memory_bytes"] = memory
        values["elapsed_s"] = round(self._elapsed + time.perf_counter() - self._since, 3)
        return values

    def progress_fields(self, values: Mapping[str, float]) -> dict[str, str]:
        """Fields of the progress bar: the latest value of each, logged now or before."""
        return progress_fields({**self._last, **values})

    def raise_if_collapsed(self) -> None:
        """Raise MscolError if the embeddings have collapsed."""
        self._guard.raise_if_collapsed(self._run)

    def due(self, step: int, last: bool) -> bool:
        """Whether the encoder is scored after this step."""
        return self._probe is not None and (last or step % self._probe.every == 0)

    def score(self, encoder: Encoder) -> dict[str, float]:
        """Compute the online probe's score in the first process, while the others wait."""
        if self._probe is None:
            return {}
        began = time.perf_counter()
        value = self._probe.score(encoder, self._device)
        distributed.wait_for_all()
        # The training time does not include probing.
        self._since += time.perf_counter() - began
        return {} if value is None else {f"{ONLINE_PROBE}{self._probe.task}": value}


class CollapseGuard:
    """Detects collapsed embeddings by their effective rank.

    It is active only after the rank was at least twice the threshold: if embeddings are never
    negative, one direction may dominate from the start.
    """

    def __init__(self, past: Iterable[tuple[int, float]] = ()) -> None:
        """Start with the steps and effective ranks observed before, in order."""
        self._highest, self._low = 0.0, list[int]()
        for step, rank in past:
            self.observe(step, rank)

    def observe(self, step: int, rank: float) -> None:
        """Observe the effective rank after a step."""
        self._highest = max(self._highest, rank)
        self._low = [*self._low, step] if rank < LOWEST_RANK else []
        if self._highest < HEALTHY_RANK:
            self._low = []

    @property
    def is_suspect(self) -> bool:
        """Whether the last rank was low: a checkpoint saved now may be useless."""
        return bool(self._low)

    def raise_if_collapsed(self, run: Path) -> None:
        """Raise MscolError if the rank has been low `PATIENCE` times in a row."""
        if len(self._low) >= PATIENCE:
            raise training_failure(
                run,
                f"the embeddings have collapsed: their effective rank is below {LOWEST_RANK} since"
                f" step {self._low[0]}, and was {self._highest:.1f}",
            )


def gradient_norm(model: nn.Module) -> float:
    """Global L2 norm of the gradients of the last update."""
    gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0


def progress_fields(values: Mapping[str, float]) -> dict[str, str]:
    """Format the values that are shown beside the progress bar."""
    forms = {
        "loss": ("loss", "{:.3f}"),
        "accuracy": ("accuracy", "{:.0%}"),
        "pairs_per_second": ("pairs/s", "{:.0f}"),
        "effective_rank": ("rank", "{:.1f}"),
        "data_wait": ("wait", "{:.0%}"),
    }
    return {
        label: form.format(values[name]) for name, (label, form) in forms.items() if name in values
    }


def _ranked(line: Mapping[str, float]) -> bool:
    return math.isfinite(line.get("effective_rank", math.nan))


def training_failure(run: Path, what: str) -> MscolError:
    """Build the error for a run that cannot continue."""
    folders = checkpoint_folders(run)
    saved = f"the last good checkpoint is {folders[-1]}" if folders else f"{run} has no checkpoint"
    return MscolError(f"{what}: {saved}; train a new run with a lower --lr.")
