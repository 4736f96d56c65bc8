"""Arguments of `mscol pretrain`; this module does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mscol_cli.contracts.options import parameter
from mscol_cli.recipes.options import plugin_options, recipe_option


@dataclass(frozen=True)
class PretrainRequest:
    """Arguments of `mscol pretrain`; with `resume`, None is the recorded value.

    Attributes:
        options: Options of `PartsSettings` and `TrainingSettings` that are set, by field name;
            others take the recipe's value, then the default. An objective is required unless a
            recipe sets it, or with `resume`.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    store: Path | None = parameter(
        None, "A sealed store. [default: the newest in data/]", "STORE", positional=True
    )
    recipe: str | None = recipe_option()
    stems: str | None = parameter(
        None,
        "Sources to learn from, for objectives with this option, such as msa."
        " [default: all sources of the store]",
        "A,B,...",
    )
    objective_options: tuple[str, ...] = plugin_options()
    encoder_options: tuple[str, ...] = parameter(
        (), "Option of the encoder.", "KEY=VALUE", key="encoder-opt"
    )
    probe_every: tuple[int, str] | None = parameter(
        None,
        "Every N steps, score the encoder by nearest neighbours on a few training and validation"
        " clips of a probe task (data in data/TASK, or TASK=DIR).",
        "N TASK",
    )
    gpus: int | None = parameter(None, "Train on N GPUs of this machine.")
    processes: int | None = parameter(None, "Train in N processes; with --device cpu over gloo.")
    run: Path | None = parameter(
        None, "Run folder. [default: runs/OBJECTIVE-ENCODER-N]", "RUN", key="output", short="-o"
    )
    resume: bool = parameter(False, "Resume the run at -o, or runs/latest.")
