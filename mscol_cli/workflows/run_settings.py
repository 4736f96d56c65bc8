"""From what was asked to everything a run is told, every default, recipe and option resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mscol_cli.engine.devices import pick_device, require_gpus
from mscol_cli.engine.models import DEFAULT_ENCODER
from mscol_cli.engine.settings import (
    TrainingSettings,
    describe_objective,
    describe_part,
    describe_software,
)
from mscol_cli.errors import UsageError
from mscol_cli.host import Part, Registry, find_objective, find_part
from mscol_cli.launched import Launched, launched
from mscol_cli.recipes import Recipe, read_recipe, to_toml

ALL_TRACKS = "all"
WHERE = ("device", "store_on", "precision", "compile")
"""Where and how to compute, which recipes leave to each machine."""


@dataclass(frozen=True)
class PretrainRequest:
    """What the user asked for; None takes the recipe's value, then the default, or with `resume`
    what the run recorded.

    Attributes:
        objective: Name of the pretext task, `a+b` to train a under b's augmentation; needed unless
            a recipe names it, or with `resume`.
        store: A sealed store; None takes the newest one under `data/`.
        encoder: Name of the network.
        recipe: Name or file of a recipe.
        train_split: `all` tracks of the store, or the name of a task, or TASK=DIR: only the clips
            that this task trains on.
        objective_options: `KEY=VALUE` for the objective.
        encoder_options: `KEY=VALUE` for the encoder.
        steps: Updates in all.
        batch_size: Pairs per update, over all processes.
        learning_rate: Of Adam.
        schedule: `halved` half-way, or `constant`.
        seed: Decides initial weights and every plan.
        save_every: Updates between checkpoints.
        keep_last: Checkpoints kept, besides the best.
        probe_every: Updates between scores of an online probe, and its TASK or TASK=DIR.
        gpus: Processes, one GPU each.
        processes: Processes on the CPU.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        store_on: Where the store is held: `auto`, `device` or `host`.
        precision: Of the encoder: `auto`, `fp32` or `bf16`.
        compile: Whether the encoder is compiled: `auto`, `on` or `off`.
        run: Run folder; None makes the next one under `runs/`, or resumes `runs/latest`.
        resume: Continue a run instead of starting one.
    """

    objective: str | None = None
    store: Path | None = None
    encoder: str | None = None
    recipe: str | None = None
    train_split: str | None = None
    objective_options: tuple[str, ...] = ()
    encoder_options: tuple[str, ...] = ()
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    schedule: str | None = None
    seed: int | None = None
    save_every: int | None = None
    keep_last: int | None = None
    probe_every: tuple[int, str] | None = None
    gpus: int | None = None
    processes: int | None = None
    device: str | None = None
    store_on: str | None = None
    precision: str | None = None
    compile: str | None = None
    run: Path | None = None
    resume: bool = False


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
        training = asdict(self.training)
        pretrain = {
            "objective": "+".join(part.name for part in self.objective),
            "encoder": self.encoder.name,
            "train_split": self.train_split,
            "lr": training["learning_rate"],
            **{name: training[name] for name in ("steps", "batch_size", "schedule", "seed")},
            "save_every": training["save_every"],
        }
        content = {
            "pretrain": pretrain,
            "objectives": {part.name: asdict(part.options) for part in self.objective},
            "encoders": {self.encoder.name: asdict(self.encoder.options)},
        }
        return to_toml(content, "pretrain")


def resolve_settings(request: PretrainRequest, registry: Registry) -> RunSettings:
    """Defaults under the recipe under what was given.

    Raises:
        UsageError: A name, option or number that cannot be used.
        MissingDataError: No such recipe.
    """
    recipe = read_recipe(request.recipe)
    asked = recipe.settings("pretrain", _given(request))
    if "objective" not in asked:
        names = ", ".join(entry.card.name for entry in registry.of_kind("objective"))
        raise UsageError(f"choose what to learn from with --objective: {names}.")
    objective = find_objective(
        registry, asked.pop("objective"), request.objective_options, recipe.preset("objectives")
    )
    encoder = find_part(
        registry,
        "encoder",
        asked.pop("encoder", DEFAULT_ENCODER),
        request.encoder_options,
        recipe.preset("encoders"),
    )
    train_split = asked.pop("train_split", ALL_TRACKS)
    return RunSettings(recipe.name, objective, encoder, train_split, _training(asked, request))


def with_recipe(request: PretrainRequest, recipe: Recipe) -> PretrainRequest:
    """A request that asks by itself for what a recipe sets and it left open, plugins' options
    apart."""
    asked = recipe.settings("pretrain", _given(request))
    named = {"learning_rate" if name == "lr" else name: value for name, value in asked.items()}
    return replace(request, **named)


def process_count(request: PretrainRequest) -> int:
    """How many processes share a batch. Raises UsageError."""
    if request.gpus is not None and request.processes is not None:
        raise UsageError("--gpus and --processes exclude each other: give one of them.")
    asked = request.gpus if request.gpus is not None else request.processes
    if asked is not None and asked < 1:
        raise UsageError("--gpus and --processes take a number of 1 or more.")
    if request.gpus is not None and request.device not in (None, "auto", "cuda"):
        raise UsageError(f"--gpus and --device {request.device} exclude each other.")
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


def _given(request: PretrainRequest) -> dict[str, Any]:
    """What was given, under the names that recipes and the command line use."""
    names = ("objective", "encoder", "train_split", "steps", "batch_size", "schedule", "seed")
    given = {name: getattr(request, name) for name in (*names, "save_every")}
    return {**given, "lr": request.learning_rate}


def _training(asked: dict[str, Any], request: PretrainRequest) -> TrainingSettings:
    if "lr" in asked:
        asked = {**asked, "learning_rate": asked["lr"]}
        del asked["lr"]
    for name in WHERE:
        if (value := getattr(request, name)) is not None:
            asked[name] = value
    if request.keep_last is not None:
        asked["keep_last"] = request.keep_last
    settings = TrainingSettings(**asked, processes=process_count(request))
    settings.check()
    pick_device(settings.device)
    return settings
