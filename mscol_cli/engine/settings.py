"""What a run was told, as its run.json records it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from mscol_cli import __version__
from mscol_cli.engine.compiling import COMPILING
from mscol_cli.engine.on_device import PLACES
from mscol_cli.engine.precision import PRECISIONS
from mscol_cli.errors import UsageError
from mscol_cli.host import Part

SCHEDULES = ("halved", "constant")
CHOICES = {"schedule": SCHEDULES, "store_on": PLACES, "precision": PRECISIONS, "compile": COMPILING}


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how much, how fast.

    Attributes:
        steps: Updates in all.
        batch_size: Pairs per update, over all processes.
        learning_rate: Of Adam.
        schedule: `halved`: halved for the second half of the steps; `constant`.
        seed: Decides initial weights and every plan.
        save_every: Updates between checkpoints.
        log_every: Updates between lines of metrics.jsonl.
        keep_last: Checkpoints kept, besides the best.
        processes: How many processes share a batch.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        store_on: Where the store is held: `auto`, `device` or `host`.
        precision: Of the encoder: `auto`, `fp32` or `bf16`.
        compile: Whether the encoder is compiled: `auto`, `on` or `off`.
    """

    steps: int = 10_000
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "halved"
    seed: int = 0
    save_every: int = 1_000
    log_every: int = 10
    keep_last: int = 2
    processes: int = 1
    device: str = "auto"
    store_on: str = "auto"
    precision: str = "auto"
    compile: str = "auto"

    def check(self) -> None:
        """Refuse what cannot be trained with. Raises UsageError."""
        for name in ("steps", "save_every", "log_every", "keep_last", "processes"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1.")
        if self.batch_size < 2:
            raise UsageError("--batch-size must be at least 2: one pair has no negatives.")
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"--lr must be a number above 0, not {self.learning_rate}.")
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} takes {', '.join(choices)}, not '{value}'.")
        if self.seed < 0:
            raise UsageError("--seed must be 0 or more.")
        if self.processes > 1 and self.device.startswith("cuda:"):
            raise UsageError(
                f"--device {self.device} is one GPU, there are {self.processes} processes: use"
                " --device cuda."
            )
        if self.batch_size % self.processes:
            raise UsageError(
                f"--batch-size {self.batch_size} does not divide among {self.processes} processes."
            )


def describe_part(part: Part) -> dict[str, Any]:
    """An encoder, or one part of an objective, as run.json names it."""
    return {
        "name": part.name,
        "owner": part.entry.owner,
        "version": part.entry.version,
        "options": asdict(part.options),
    }


def describe_objective(parts: Sequence[Part]) -> dict[str, Any]:
    """An objective as run.json names it: `msa+mws` and its parts."""
    name = "+".join(part.name for part in parts)
    return {"name": name, "parts": [describe_part(part) for part in parts]}


def describe_software() -> dict[str, Any]:
    """Versions, and the state of the git checkout mscol runs from, if it is one."""
    return {"mscol": __version__, "torch": torch.__version__, "git": _git_state()}


def _git_state() -> str | None:
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
