"""Settings of a probe, resolved from request, recipe and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mscol_cli.audio import Corruption
from mscol_cli.audio.corruption import RANGES
from mscol_cli.contracts.options import options_of
from mscol_cli.contracts.task import ProbeProtocol, StemRetrieval, Task, TaskData
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import Part, Registry, find_part
from mscol_cli.host.checks.task import load_task
from mscol_cli.host.options import override, split_assignment
from mscol_cli.probe.metrics import check_metrics
from mscol_cli.probe.request import ProbeOptions, ProbeRequest
from mscol_cli.probe.tasks import DATA, build_task
from mscol_cli.recipes.recipe import read_recipe, to_toml
from mscol_cli.store import Store, store_beside

if TYPE_CHECKING:
    from mscol_cli.engine.models import Model

DEFAULT_SEEDS = 5


@dataclass(frozen=True)
class ProbeSettings:
    """Resolved settings of a probe.

    Attributes:
        recipe: Name of the recipe; empty for none.
        part: Card and options of the task.
        task: The task.
        protocol: Protocol of the task, with the changes of recipe and request.
        seeds: Number of classifiers.
        label_fractions: Additional shares of the training clips to train on, ascending.
        stems: Store with the sources of the test clips; None if they are not scored.
        corruptions: Corruptions of the test clips to score.
        save: Save the classifier, and the fine-tuned encoder.
    """

    recipe: str
    part: Part
    task: Task
    protocol: ProbeProtocol
    seeds: int
    label_fractions: Sequence[float] = ()
    stems: Path | None = None
    corruptions: Sequence[Corruption] = ()
    save: bool = False

    @property
    def classifiers(self) -> int:
        """Number of different classifiers; `linear` on a frozen encoder does not depend on the
        seed, and stem retrieval trains none."""
        if isinstance(self.task, StemRetrieval):
            return 0
        same = self.protocol.classifier == "linear" and not self.protocol.finetune
        return 1 if same else self.seeds

    def to_toml(self) -> str:
        """Format as a recipe."""
        content = {
            "probe": {"seeds": self.seeds},
            "tasks": {self.part.name: asdict(self.part.options)},
            "protocols": {self.part.name: self.described_protocol()},
        }
        return to_toml(content, "probe")

    def described_protocol(self) -> dict[str, Any]:
        """Options of the protocol that `--protocol` can change, by name."""
        if isinstance(self.task, StemRetrieval):
            return {}
        return {
            item.name: getattr(self.protocol, item.name)
            for item in fields(self.protocol)
            if "help" in item.metadata
        }

    def describe(self, folder: Path, model: Model) -> dict[str, Any]:
        """Fields of a result that do not depend on scores: task, data set and model."""
        return {
            "task": self.part.name,
            "data": str(folder),
            "options": asdict(self.part.options),
            "protocol": self.described_protocol(),
            "recipe": self.recipe,
            "model": model.name,
            "model_hash": model.hash,
            "model_step": model.step,
        }


def resolve_settings(request: ProbeRequest, registry: Registry) -> ProbeSettings:
    """Resolve a request: its options override those of the recipe, which override defaults.

    Raises:
        UsageError: Unknown task, or an option that cannot be used.
        MissingDataError: Unknown recipe.
    """
    recipe = read_recipe(request.recipe)
    part = find_part(registry, "task", request.task, request.options, recipe.preset("tasks"))
    task = build_task(part)
    owner = f"the protocol of '{request.task}'"
    requested = dict(split_assignment(text, owner) for text in request.assignments)
    preset = recipe.preset("protocols").get(request.task, {})
    protocol = override(task.protocol, {**preset, **requested}, owner)
    check_metrics(protocol, owner, isinstance(task, StemRetrieval))
    default = 1 if protocol.finetune else DEFAULT_SEEDS
    seeds = recipe.settings("probe", {"seeds": request.seeds}).get("seeds", default)
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}.")
    _check_together(request, protocol)
    fractions = _fractions(request.label_fractions)
    corruptions = [_corruption(*pair) for pair in dict.fromkeys(request.corruptions)]
    stems = _stems(request)
    return ProbeSettings(
        recipe.name, part, task, protocol, seeds, fractions, stems, corruptions, request.save
    )


def _check_together(request: ProbeRequest, protocol: ProbeProtocol) -> None:
    """Raise UsageError for options that cannot be combined."""
    if protocol.finetune and (request.label_fractions or request.corruptions or request.attribute):
        raise UsageError(
            "--finetune cannot be combined with --label-fraction, --attribute, --noise, --gain,"
            " --pitch and --mp3."
        )
    if protocol.classifier != "published" and protocol.crops == "random":
        raise UsageError(
            f"classifier {protocol.classifier} is trained on all windows at once: use it without"
            " crops=random (set by recipe smc23), or with --protocol crops=windows."
        )


def refuse_classifier_options(request: ProbeOptions, name: str) -> None:
    """Raise UsageError if a request has options that a task without classifiers ignores."""
    unused = [
        item.flag
        for item in options_of(ProbeOptions)
        if item.name not in ("encoder", "options", "recipe", "device")
        and getattr(request, item.name) != item.default
    ]
    if unused:
        raise UsageError(
            f"'{name}' retrieves stems and trains no classifier: omit {', '.join(unused)}."
        )


def _stems(request: ProbeRequest) -> Path | None:
    if not request.attribute:
        if request.stems is not None:
            raise UsageError("--stems requires --attribute.")
        return None
    return request.stems or store_beside(request.data or DATA / request.task)


def _corruption(kind: str, amount: float) -> Corruption:
    low, high, unit = RANGES[kind]
    if not low <= amount <= high:
        raise UsageError(f"--{kind} takes {low:g} to {high:g} {unit}, not {amount:g}.")
    return Corruption(kind, amount)


def _fractions(fractions: Sequence[float]) -> Sequence[float]:
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise UsageError(f"--label-fraction must be above 0 and at most 1, not {fraction:g}.")
    return sorted(set(fractions))


def data_folder(settings: ProbeSettings, folder: Path | None) -> Path:
    """Folder of a task's data set; `data/TASK` by default."""
    return folder or DATA / settings.part.name


def load_data(settings: ProbeSettings, folder: Path | None) -> tuple[Path, TaskData]:
    """Read a task's data set; returns its folder and content.

    Raises:
        MissingDataError: The data set does not exist.
        PluginError: The content breaks the contract of tasks.
        PluginCallError: The task raised an exception.
    """
    name = settings.part.name
    folder = data_folder(settings, folder)
    if isinstance(settings.task, StemRetrieval):
        Store.open(folder)
        return folder, TaskData((), ())
    if not folder.is_dir():
        raise MissingDataError(
            f"{folder} is not a folder: put the data of '{name}' there (see 'mscol download'), or"
            " use --data."
        )
    return folder, load_task(settings.task, folder)
