"""What the user asks of `mscol pretrain`; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PretrainRequest:
    """What the user gave; None takes the default, or with `resume` what the run recorded.

    Attributes:
        options: Of `PartsSettings` and `TrainingSettings`, those that were given, by the names of
            their fields; the others take the recipe's value, then the default. An objective is
            needed unless a recipe names it, or with `resume`.
        store: A sealed store; None takes the newest one under `data/`.
        recipe: Name or file of a recipe.
        stems: Sources to learn from, `a,b,c`.
        objective_options: `KEY=VALUE` for the objective.
        encoder_options: `KEY=VALUE` for the encoder.
        probe_every: Steps between scores of an online probe, and its TASK or TASK=DIR.
        gpus: Processes, one GPU each.
        processes: Processes on the CPU.
        run: Run folder; None makes the next one under `runs/`, or resumes `runs/latest`.
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
