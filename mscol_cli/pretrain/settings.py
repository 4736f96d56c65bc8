"""The options of a run: from a request and recipes to every value that training uses."""

from __future__ import annotations

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
from mscol_cli.host import Part, Registry, find_objective, find_part
from mscol_cli.host.options import FLAGS, read_value
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.recipes.options import IN_RECIPES, PartsSettings, TrainingSettings
from mscol_cli.recipes.recipe import Recipe, read_recipe, to_toml
from mscol_cli.system.launcher import Launched, launched


@dataclass(frozen=True)
class RunSettings:
    """Everything a run is told, but for its store and folder.

    Attributes:
        recipe: Name of the recipe; empty for none.
        objective: The pretext task and the augmentations it is trained under.
        encoder: The network.
        train_split: `all`, TASK or TASK=DIR.
        training: How long, how much, how fast.
    """

    recipe: str
    objective: Sequence[Part]
    encoder: Part
    train_split: str
    training: TrainingSettings

    def describe(self) -> dict[str, Any]:
        """As run.json records it."""
        return {
            **describe_software(),
            "recipe": self.recipe,
            "train_split": self.train_split,
            "objective": describe_objective(self.objective),
            "encoder": describe_part(self.encoder),
            "training": asdict(self.training),
        }

    def to_toml(self) -> str:
        """As a recipe: what decides the result, not where or in how many processes."""
        parts = {
            "objective": "+".join(part.name for part in self.objective),
            "encoder": self.encoder.name,
            "train_split": self.train_split,
        }
        values = {**parts, **asdict(self.training)}
        content = {
            "pretrain": {item.key: values[item.name] for item in IN_RECIPES["pretrain"]},
            "objectives": {part.name: asdict(part.options) for part in self.objective},
            "encoders": {self.encoder.name: asdict(self.encoder.options)},
        }
        return to_toml(content, "pretrain")


def check_training(settings: TrainingSettings) -> None:
    """Refuse settings that cannot be trained with. Raises UsageError."""
    if settings.batch_size < 2:
        raise UsageError("--batch-size must be at least 2: one pair has no negatives.")
    if not 0 < settings.learning_rate < float("inf"):
        raise UsageError(f"--lr must be a number above 0, not {settings.learning_rate}.")
    for item in options_of(settings):
        read_value(item, getattr(settings, item.name), FLAGS)
    if settings.processes > 1 and settings.device.startswith("cuda:"):
        raise UsageError(
            f"--device {settings.device} is one GPU, there are {settings.processes} processes: use"
            " --device cuda."
        )
    if settings.batch_size % settings.processes:
        raise UsageError(
            f"--batch-size {settings.batch_size} does not divide among {settings.processes}"
            " processes."
        )


def resolve_settings(request: PretrainRequest, registry: Registry) -> RunSettings:
    """Defaults under the recipe under what was given.

    Raises:
        UsageError: A name, option or number that cannot be used.
        MissingDataError: No such recipe.
    """
    recipe = read_recipe(request.recipe)
    parts = PartsSettings()
    given = recipe.settings("pretrain", request.options)
    parts = replace(parts, **{name: given.pop(name) for name in vars(parts).keys() & given})
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
    encoder = find_part(
        registry, "encoder", parts.encoder, request.encoder_options, recipe.preset("encoders")
    )
    training = TrainingSettings(**given, processes=process_count(request))
    check_training(training)
    pick_device(training.device)
    return RunSettings(recipe.name, objective, encoder, parts.train_split, training)


def with_recipe(request: PretrainRequest, recipe: Recipe) -> PretrainRequest:
    """A request that asks by itself for what a recipe sets and it left open, plugins' options
    apart."""
    return replace(request, options=recipe.settings("pretrain", request.options))


def process_count(request: PretrainRequest) -> int:
    """How many processes share a batch. Raises UsageError."""
    if request.gpus is not None and request.processes is not None:
        raise UsageError("--gpus and --processes exclude each other: give one of them.")
    asked = request.gpus if request.gpus is not None else request.processes
    if asked is not None and asked < 1:
        raise UsageError("--gpus and --processes take a number of 1 or more.")
    device = request.options.get("device", "auto")
    if request.gpus is not None and device not in ("auto", "cuda"):
        raise UsageError(f"--gpus and --device {device} exclude each other.")
    here = launched()
    if here is not None:
        return _count_of(here, asked)
    if request.gpus is not None:
        require_gpus(request.gpus)
    return asked if asked is not None else 1


def _count_of(here: Launched, asked: int | None) -> int:
    if asked not in (None, here.processes):
        raise UsageError(
            f"--gpus or --processes asks for {asked}, but torchrun or srun has started"
            f" {here.processes}: leave it out, or make them the same."
        )
    return here.processes


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
