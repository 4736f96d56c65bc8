"""The options of a run: from a request and recipes to every value that training uses."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mscol_cli import __version__
from mscol_cli.engine.devices import PRECISIONS, pick_device, require_gpus
from mscol_cli.engine.models import DEFAULT_ENCODER
from mscol_cli.errors import UsageError
from mscol_cli.host import Part, Registry, find_objective, find_part
from mscol_cli.pretrain.device_store import PLACES
from mscol_cli.pretrain.step import COMPILING
from mscol_cli.recipes import Recipe, read_recipe, to_toml
from mscol_cli.system.launcher import Launched, launched

ALL_TRACKS = "all"
WHERE = ("device", "store_on", "precision", "compile")
"""Where and how to compute, which recipes leave to each machine."""
SCHEDULES = ("halved", "constant")
CHOICES = {"schedule": SCHEDULES, "store_on": PLACES, "precision": PRECISIONS, "compile": COMPILING}


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
