"""Resolve the settings of a run from a request, a recipe and defaults."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mscol_cli import __version__
from mscol_cli.contracts.options import options_of
from mscol_cli.engine.devices import pick_device, require_gpus
from mscol_cli.errors import UsageError
from mscol_cli.host import Part, Registry, describe_part, find_objective, find_part
from mscol_cli.host.options import FLAGS, read_value
from mscol_cli.pretrain.initial_weights import source_encoder
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.recipes.options import IN_RECIPES, PartsSettings, TrainingSettings
from mscol_cli.recipes.recipe import read_recipe, to_toml
from mscol_cli.system.launcher import launched

MAX_BATCH = 1_000_000
"""A larger batch is a typing error: the logits of one would take terabytes."""


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run, without its store and folder.

    Attributes:
        recipe: Name of the recipe; empty for none.
        objective: The pretext task and its augmentations.
        encoder: The network.
        init: Model with the initial weights, `timm`, or empty for random weights.
        train_split: `all`, TASK or TASK=DIR.
        training: Options of training.
    """

    recipe: str
    objective: Sequence[Part]
    encoder: Part
    init: str
    train_split: str
    training: TrainingSettings

    def describe(self) -> dict[str, Any]:
        """The settings as recorded in run.json."""
        return {
            **describe_software(),
            "recipe": self.recipe,
            "train_split": self.train_split,
            "objective": describe_objective(self.objective),
            "encoder": describe_part(self.encoder),
            **({"init": {"reference": self.init}} if self.init else {}),
            "training": asdict(self.training),
        }

    def to_toml(self) -> str:
        """The settings as a recipe: those that determine the result, not devices or processes."""
        parts = {
            "objective": "+".join(part.name for part in self.objective),
            "encoder": self.encoder.name,
            "init": self.init or None,
            "train_split": self.train_split,
        }
        values = {**parts, **asdict(self.training)}
        content = {
            "pretrain": {item.key: values[item.name] for item in IN_RECIPES["pretrain"]},
            "objectives": {part.name: asdict(part.options) for part in self.objective},
            "encoders": {self.encoder.name: asdict(self.encoder.options)},
        }
        return to_toml(content, "pretrain")


MAX_SEED = 2**63


def check_training(settings: TrainingSettings) -> None:
    """Check settings of training. Raises UsageError."""
    if settings.batch_size > MAX_BATCH:
        raise UsageError(f"--batch-size {settings.batch_size} is more than {MAX_BATCH:,} pairs.")
    if settings.batch_size < 2:
        raise UsageError("--batch-size must be at least 2: one pair has no negatives.")
    if not 0 < settings.learning_rate < float("inf"):
        raise UsageError(f"--lr must be a number above 0, not {settings.learning_rate}.")
    if not math.isfinite(settings.weight_decay):
        raise UsageError(f"--weight-decay must be a finite number, not {settings.weight_decay}.")
    if 0 < settings.steps <= settings.warmup:
        raise UsageError(f"--warmup {settings.warmup} must be below --steps {settings.steps}.")
    if settings.seed >= MAX_SEED:
        raise UsageError(f"--seed must be below 2^63, not {settings.seed}.")
    for item in options_of(settings):
        read_value(item, getattr(settings, item.name), FLAGS)
    if settings.processes > 1 and settings.device.startswith("cuda:"):
        raise UsageError(
            f"--device {settings.device} is one GPU for {settings.processes} processes: use"
            " --device cuda."
        )
    # Processes that share a GPU could not communicate.
    if settings.processes > 1 and not launched() and pick_device(settings.device).type == "cuda":
        require_gpus(settings.processes, "--device cpu", "--processes")
    if settings.batch_size % settings.processes:
        raise UsageError(
            f"--batch-size {settings.batch_size} is not divisible by the"
            f" {settings.processes} processes."
        )


def resolve_settings(request: PretrainRequest, registry: Registry) -> RunSettings:
    """Resolve settings: the request overrides the recipe, which overrides the defaults.

    Raises:
        UsageError: A name, option or number is invalid.
        MissingDataError: The recipe does not exist.
    """
    recipe = read_recipe(request.recipe)
    parts = PartsSettings()
    options = recipe.settings("pretrain", request.options)
    source = source_encoder(options.get("init", ""), registry)
    options = {**({"encoder": source["name"]} if source else {}), **options}
    parts = replace(parts, **{name: options.pop(name) for name in vars(parts).keys() & options})
    if not parts.objective:
        names = ", ".join(entry.card.name for entry in registry.of_kind("objective"))
        raise UsageError(f"choose what to learn from with --objective: {names}.")
    objective = find_objective(
        registry,
        parts.objective,
        request.objective_options,
        recipe.preset("objectives"),
        request.stems,
    )
    preset = recipe.preset("encoders")
    if source and source["name"] == parts.encoder:
        preset = {**preset, parts.encoder: {**source["options"], **preset.get(parts.encoder, {})}}
    encoder = find_part(registry, "encoder", parts.encoder, request.encoder_options, preset)
    training = TrainingSettings(**options, processes=process_count(request))
    check_training(training)
    pick_device(training.device)
    return RunSettings(recipe.name, objective, encoder, parts.init, parts.train_split, training)


def process_count(request: PretrainRequest) -> int:
    """Number of processes that share a batch. Raises UsageError."""
    if request.gpus is not None and request.processes is not None:
        raise UsageError("--gpus and --processes exclude each other: give one of them.")
    count = request.gpus if request.gpus is not None else request.processes
    if count is not None and count < 1:
        raise UsageError("--gpus and --processes take a number of 1 or more.")
    device = request.options.get("device", "auto")
    if request.gpus is not None and device not in ("auto", "cuda"):
        raise UsageError(f"--gpus and --device {device} exclude each other.")
    launcher = launched()
    if launcher is not None:
        if count not in (None, launcher.processes):
            raise UsageError(
                f"--gpus or --processes is {count}, but torchrun or srun has started"
                f" {launcher.processes} processes: omit it, or use the same number."
            )
        return launcher.processes
    if request.gpus is not None:
        require_gpus(request.gpus, f"--processes {request.gpus} --device cpu")
    return 1 if count is None else count


def describe_objective(parts: Sequence[Part]) -> dict[str, Any]:
    """An objective as recorded in run.json: its name, such as `msa+mws`, and its parts."""
    name = "+".join(part.name for part in parts)
    return {"name": name, "parts": [describe_part(part) for part in parts]}


def describe_software() -> dict[str, Any]:
    """Versions of mscol and torch, and the git revision if mscol runs from a checkout."""
    return {"mscol": __version__, "torch": torch.__version__, "git": _git_state()}


def _git_state() -> str | None:
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():  # an installed package, perhaps inside another repository
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
