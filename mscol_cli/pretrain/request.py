"""Arguments of `mscol pretrain`; this module does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PretrainRequest:
    """Arguments of `mscol pretrain`; None is the default, or with `resume` the recorded value.

    Attributes:
        options: Options of `PartsSettings` and `TrainingSettings` that are set, by field name;
            others take the recipe's value, then the default. An objective is required unless a
            recipe sets it, or with `resume`.
        store: A sealed store; None is the newest one under `data/`.
        recipe: Name or path of a recipe.
        stems: Sources to learn from, `a,b,c`.
        objective_options: `KEY=VALUE` for the objective.
        encoder_options: `KEY=VALUE` for the encoder.
        probe_every: Steps between two scores of an online probe, and its TASK or TASK=DIR.
        gpus: Number of processes with one GPU each.
        processes: Number of processes on the CPU.
        run: Run folder; None creates the next one under `runs/`, or resumes `runs/latest`.
        resume: Continue a run instead of starting one.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    store: Path | None = None
    recipe: str | None = None
    stems: str | None = None
    objective_options: tuple[str, ...] = ()
    encoder_options: tuple[str, ...] = ()
    probe_every: tuple[int, str] | None = None
    gpus: int | None = None
    processes: int | None = None
    run: Path | None = None
    resume: bool = False
