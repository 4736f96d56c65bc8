"""From what was asked to a task, its data and its protocol, every default and recipe resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mscol_cli.audio import Corruption
from mscol_cli.audio.corruption import RANGES
from mscol_cli.contracts.task import ProbeProtocol, Task, TaskData
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import Part, Registry, find_part
from mscol_cli.host.checks.task import load_task
from mscol_cli.host.options import override, split_assignment
from mscol_cli.probe.metrics import check_metrics
from mscol_cli.probe.tasks import DATA, build_task
from mscol_cli.recipes.recipe import read_recipe, to_toml
from mscol_cli.store import store_beside

DEFAULT_SEEDS = 5


@dataclass(frozen=True)
class ProbeRequest:
    """What to probe, with what.

    Attributes:
        task: Name of the task.
        data: The data set's folder; None for `data/TASK`.
        model: A run or checkpoint folder, `untrained`, or None for `runs/latest`.
        encoder: The encoder of `untrained`.
        seeds: How many classifiers to train; None for the recipe's number, or 5.
        output: Folder of the report; None for `RUN/probes/TASK`, or `probes/MODEL-TASK` when the
            model has no run.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        options: The task's options, as `KEY=VALUE`.
        protocol: Options of the protocol, as `KEY=VALUE`.
        recipe: Name or file of a recipe.
        label_fractions: Shares of the training clips to train on as well.
        attribute: Score every source of the test clips, too.
        stems: The store with the sources; None for `DIR.store` beside the data set's folder.
        deformations: What to do to the test clips, one after another, as well: kind and amount.
    """

    task: str
    data: Path | None = None
    model: str | None = None
    encoder: str | None = None
    seeds: int | None = None
    output: Path | None = None
    device: str = "auto"
    options: Sequence[str] = ()
    protocol: Sequence[str] = ()
    recipe: str | None = None
    label_fractions: Sequence[float] = ()
    attribute: bool = False
    stems: Path | None = None
    deformations: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class ProbeSettings:
    """A task as it will be probed.

    Attributes:
        recipe: Name of the recipe; empty for none.
        part: The task's card and options.
        task: Built from them.
        protocol: The task's, but for what was changed.
        seeds: How many classifiers to train.
        label_fractions: Shares of the training clips to train on as well, ascending.
        stems: The store with the sources of the test clips; None where they are not scored.
        deformations: What to do to the test clips, one after another, as well.
    """

    recipe: str
    part: Part
    task: Task
    protocol: ProbeProtocol
    seeds: int
    label_fractions: Sequence[float] = ()
    stems: Path | None = None
    deformations: Sequence[Corruption] = ()

    @property
    def classifiers(self) -> int:
        """How many classifiers differ: of a frozen encoder, `linear` is the same for each seed."""
        same = self.protocol.classifier == "linear" and not self.protocol.finetune
        return 1 if same else self.seeds

    def to_toml(self) -> str:
        """As a recipe."""
        content = {
            "probe": {"seeds": self.seeds},
            "tasks": {self.part.name: asdict(self.part.options)},
            "protocols": {self.part.name: self.described_protocol()},
        }
        return to_toml(content, "probe")

    def described_protocol(self) -> dict[str, Any]:
        """What `--protocol` can change, by name."""
        return {
            item.name: getattr(self.protocol, item.name)
            for item in fields(self.protocol)
            if "help" in item.metadata
        }


def resolve_settings(request: ProbeRequest, registry: Registry) -> ProbeSettings:
    """Defaults under the recipe under what was given.

    Raises:
        UsageError: An unknown task, an option that cannot be used.
        MissingDataError: No such recipe.
    """
    recipe = read_recipe(request.recipe)
    part = find_part(registry, "task", request.task, request.options, recipe.preset("tasks"))
    task = build_task(part)
    owner = f"the protocol of '{request.task}'"
    given = dict(split_assignment(text, owner) for text in request.protocol)
    preset = recipe.preset("protocols").get(request.task, {})
    protocol = override(task.protocol, {**preset, **given}, owner)
    check_metrics(protocol, request.task)
    default = 1 if protocol.finetune else DEFAULT_SEEDS
    seeds = recipe.settings("probe", {"seeds": request.seeds}).get("seeds", default)
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}.")
    _check_together(request, protocol)
    fractions = _fractions(request.label_fractions)
    deformations = [_corruption(*given) for given in dict.fromkeys(request.deformations)]
    stems = _stems(request)
    return ProbeSettings(recipe.name, part, task, protocol, seeds, fractions, stems, deformations)


def _check_together(request: ProbeRequest, protocol: ProbeProtocol) -> None:
    """Refuse what does not go together."""
    if protocol.finetune and (request.label_fractions or request.deformations or request.attribute):
        raise UsageError(
            "--finetune goes without --label-fraction, --attribute, --noise, --gain, --pitch and"
            " --mp3."
        )
    if protocol.classifier != "published" and protocol.crops == "random":
        raise UsageError(
            f"classifier {protocol.classifier} is trained on every window at once: use it without"
            " crops=random (which recipe smc23 sets), or with --protocol crops=windows."
        )


def _stems(request: ProbeRequest) -> Path | None:
    if not request.attribute:
        if request.stems is not None:
            raise UsageError("--stems goes with --attribute.")
        return None
    return request.stems or store_beside(request.data or DATA / request.task)


def _corruption(kind: str, amount: float) -> Corruption:
    low, high, unit = RANGES[kind]
    if not low <= amount <= high:
        raise UsageError(f"--{kind} takes {low:g} to {high:g} {unit}, not {amount:g}.")
    return Corruption(kind, amount)


def _fractions(given: Sequence[float]) -> Sequence[float]:
    for fraction in given:
        if not 0 < fraction <= 1:
            raise UsageError(f"--label-fraction must be above 0 and at most 1, not {fraction:g}.")
    return sorted(set(given))


def data_folder(settings: ProbeSettings, given: Path | None) -> Path:
    """Where a task's data are: `data/TASK` unless given."""
    return given or DATA / settings.part.name


def load_data(settings: ProbeSettings, folder: Path | None) -> tuple[Path, TaskData]:
    """Read a task's data set.

    Raises:
        MissingDataError: It is not there.
        PluginError: The task read it in a way that breaks its contract.
        PluginCallError: The task raised an exception.
    """
    name = settings.part.name
    folder = data_folder(settings, folder)
    if not folder.is_dir():
        raise MissingDataError(
            f"{folder} is no folder: put the data of '{name}' there ('mscol download' has some), or"
            " use --data."
        )
    return folder, load_task(settings.task, folder)
