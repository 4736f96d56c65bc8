"""What is computed beside the loss where a step is logged, and when it stops a run."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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
"""Embeddings are looked at where a step is logged, later only at every 200th: a look takes the host
ten milliseconds or more, as long as several updates take on a GPU."""
LOWEST_RANK = 1.5
"""Effective rank below which embeddings differ in little but their length."""
HEALTHY_RANK = 2 * LOWEST_RANK
PATIENCE = 5
"""Looks in a row that must find it lower; one may have been at an odd batch."""


class OnlineProbe(Protocol):
    """A cheap score of the encoder that is being trained."""

    @property
    def task(self) -> str:
        """Its name."""

    @property
    def every(self) -> int:
        """Updates between two scores."""

    def score(self, encoder: Encoder, device: torch.device) -> float | None:
        """How good the encoder is now; neither it nor any generator is left changed. None in a
        process that leaves it to the first."""


class TrainingMonitor:
    """Watches a run in one process; all processes see the same, from the gathered batch."""

    def __init__(self, run: Path, device: torch.device, probe: OnlineProbe | None) -> None:
        self._run, self._device, self._probe = run, device, probe
        self._guard = CollapseGuard()
        self._seen: Mapping[str, float] = {}
        self._elapsed, self._since = 0.0, time.perf_counter()

    def begin(self, step: int) -> None:
        """Take up a run after `step` updates: what was seen and how long it took so far."""
        past = [line for line in read_metrics(self._run) if line["step"] <= step]
        ranks = [(int(line["step"]), line["effective_rank"]) for line in past if _ranked(line)]
        self._guard = CollapseGuard(ranks)
        self._elapsed = max((line.get("elapsed_s", 0.0) for line in past), default=0.0)
        self._since = time.perf_counter()

    def start(self, step: int, model: Pretraining) -> None:
        """Look at the first update, which is not logged: is there a rank that can collapse?"""
        if step == 1 and (rank := geometry(model.embeddings()).get("effective_rank")) is not None:
            self._guard.observe(step, rank)

    @property
    def is_suspect(self) -> bool:
        """Whether the embeddings looked collapsed the last time."""
        return self._guard.is_suspect

    def measure(self, step: int, model: Pretraining) -> dict[str, float]:
        """Everything watched, after an update."""
        found = {"gradient_norm": gradient_norm(model)}
        if step <= DENSE or step % SPARSE == 0:
            self._seen = geometry(model.embeddings())
            found |= self._seen
        if (rank := found.get("effective_rank")) is not None:
            self._guard.observe(step, rank)
        if (held := memory_in_use(self._device)) is not None:
            found["memory_bytes"] = held
        found["elapsed_s"] = round(self._elapsed + time.perf_counter() - self._since, 3)
        return found

    def progress_fields(self, values: Mapping[str, float]) -> dict[str, str]:
        """What stands beside a progress bar: the newest of each value, logged now or before."""
        return progress_fields({**self._seen, **values})

    def raise_if_collapsed(self) -> None:
        """Stop a run whose embeddings have collapsed. Raises MscolError."""
        self._guard.raise_if_collapsed(self._run)

    def due(self, step: int, last: bool) -> bool:
        """Whether the encoder is scored after this step."""
        return self._probe is not None and (last or step % self._probe.every == 0)

    def score(self, encoder: Encoder) -> dict[str, float]:
        """The online probe's score, which the first process computes and the others wait for."""
        if self._probe is None:
            return {}
        with self._pause():
            value = self._probe.score(encoder, self._device)
            distributed.wait_for_all()
        return {} if value is None else {f"{ONLINE_PROBE}{self._probe.task}": value}

    @contextmanager
    def _pause(self) -> Iterator[None]:
        """Probing is no training: its time is not counted."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._since += time.perf_counter() - began


class CollapseGuard:
    """Watches the effective rank of a run's embeddings.

    It judges only a run whose rank was twice the threshold at some time: in an encoder whose
    embeddings are never negative, one direction may outweigh all others from the start.
    """

    def __init__(self, past: Iterable[tuple[int, float]] = ()) -> None:
        """Look first at what was seen before: steps and effective ranks, in order."""
        self._highest, self._low = 0.0, list[int]()
        for step, rank in past:
            self.observe(step, rank)

    def observe(self, step: int, rank: float) -> None:
        """Take in the effective rank after a step."""
        self._highest = max(self._highest, rank)
        self._low = [*self._low, step] if rank < LOWEST_RANK else []
        if self._highest < HEALTHY_RANK:
            self._low = []

    @property
    def is_suspect(self) -> bool:
        """Whether the last look found a collapse: what is saved now may be of no use."""
        return bool(self._low)

    def raise_if_collapsed(self, run: Path) -> None:
        """Stop a run that has been low for long. Raises MscolError."""
        if len(self._low) >= PATIENCE:
            raise broken(
                run,
                f"the embeddings have collapsed: their effective rank is below {LOWEST_RANK} since"
                f" step {self._low[0]}, and was {self._highest:.1f}",
            )


def gradient_norm(model: nn.Module) -> float:
    """Global L2 norm of the last update's gradients, of the whole batch."""
    gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0


def progress_fields(values: Mapping[str, float]) -> dict[str, str]:
    """The few values that are worth a place beside a progress bar."""
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


def broken(run: Path, what: str) -> MscolError:
    """What to tell of a run that cannot go on."""
    found = checkpoint_folders(run)
    kept = f"the last good checkpoint is {found[-1]}" if found else f"{run} has no checkpoint"
    return MscolError(f"{what}: {kept}; train a new run with a lower --lr.")
