"""Stages that probe a model, and write the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch

from mscol_cli.engine import references
from mscol_cli.engine.models import untrained_model
from mscol_cli.engine.references import LOGMEL, MINI, UNTRAINED
from mscol_cli.errors import MissingDataError
from mscol_cli.host import find_part, load_registry
from mscol_cli.probe.output import result_name, why_unfinished
from mscol_cli.probe.request import ProbeRequest
from mscol_cli.probe.settings import load_data, resolve_settings
from mscol_cli.runs.checkpoint import latest_checkpoint, weights_hash
from mscol_cli.runs.layout import PROBE_REPORT, PROBES
from mscol_cli.runs.metrics import METRICS
from mscol_cli.study.music import missing_folder
from mscol_cli.study.stages import ComputeOptions, Stage, Status, StudyPaths, words


@dataclass(frozen=True)
class Probing:
    """Probe settings of a task, common to all models.

    Attributes:
        task: Name of the task.
        recipe: Name or file of a recipe; None for no recipe.
        seeds: Number of classifiers; None for the recipe's number, or the default.
        paths: Folders of the study.
        compute: Device options.
    """

    task: str
    recipe: str | None
    seeds: int | None
    paths: StudyPaths
    compute: ComputeOptions

    @property
    def result(self) -> str:
        """Name of the result's folder in `probe`."""
        return result_name(self.request)

    @property
    def data(self) -> Path:
        """Folder of the data set."""
        return self.paths.task_data(self.task)

    @cached_property
    def missing(self) -> list[str]:
        """Instruction for a missing or incomplete data set, which is read once for all models."""
        if lines := missing_folder(self.data, self.task):
            return lines
        try:
            load_data(resolve_settings(self.request, load_registry()), self.data)
        except MissingDataError as error:
            return [str(error).rstrip(".")]
        return []

    @property
    def request(self) -> ProbeRequest:
        """Request for the probe, without a model."""
        return ProbeRequest(self.task, recipe=self.recipe, seeds=self._classifiers)

    @cached_property
    def _classifiers(self) -> int | None:
        """The number of classifiers, unless the task trains none."""
        request = ProbeRequest(self.task, recipe=self.recipe)
        trained = resolve_settings(request, load_registry()).classifiers
        return self.seeds if trained else None

    def words(self) -> list[str]:
        """Options of the `probe` command."""
        options = words({"recipe": self.recipe, "seeds": self._classifiers})
        return [*options, *self.paths.data_options(self.task), *self.compute.words(many=False)]


@dataclass(frozen=True)
class ProbedModel:
    """A model of a study.

    Attributes:
        name: Name of the model.
        options: Options of `probe` for the model.
        folder: Folder of its probe results.
        compute_hash: Computes the hash of the weights; None if there are no weights yet.
        has_run: Whether the model has a run, so that `probe` writes to the folder by default.
    """

    name: str
    options: Sequence[str]
    folder: Path
    compute_hash: Callable[[], str | None]
    has_run: bool


def model_of_run(run: Path) -> ProbedModel:
    """The newest checkpoint of a run."""

    def compute_hash() -> str | None:
        checkpoint = latest_checkpoint(run)
        return weights_hash(checkpoint.folder) if checkpoint else None

    return ProbedModel(run.name, ["--model", str(run)], run / PROBES, compute_hash, has_run=True)


def model_without_run(encoder: str, folder: Path) -> ProbedModel:
    """An untrained encoder or the baseline `logmel`, and the folder of its probe results."""

    def compute_hash() -> str:
        part = find_part(load_registry(), "encoder", encoder)
        return untrained_model(part, torch.device("cpu")).hash

    options = ["--model", UNTRAINED, "--encoder", encoder]
    name = f"{UNTRAINED}-{encoder}"
    if encoder == LOGMEL:
        options, name = ["--model", LOGMEL], LOGMEL
    return ProbedModel(name, options, folder, compute_hash, has_run=False)


def bundled_model(folder: Path) -> ProbedModel:
    """The bundled model, and the folder of its probe results."""
    compute_hash = partial(weights_hash, references.BUNDLED)
    return ProbedModel(MINI, ["--model", MINI], folder, compute_hash, has_run=False)


class ProbeStage(Stage):
    """Probe of a model."""

    def __init__(self, model: ProbedModel, probing: Probing, needs: tuple[str, ...]) -> None:
        self.name, self.needs = f"probe {probing.task} {model.name}", needs
        self._model, self._probing = model, probing
        self._output = model.folder / probing.result

    def status(self) -> Status:
        """Done if there is a result of the same model and settings."""
        settings = resolve_settings(self._probing.request, load_registry())
        model_hash = self._model.compute_hash()
        reason = why_unfinished(self._output, settings, self._probing.data, model_hash)
        return Status("done") if reason is None else Status("to do", reason)

    def missing(self) -> list[str]:
        """Missing data set, unless an earlier stage creates it."""
        return [] if "music" in self.needs else self._probing.missing

    def command(self) -> list[str]:
        """The same command in all states."""
        output = [] if self._model.has_run else ["-o", str(self._output)]
        return [
            *("probe", self._probing.task, *self._model.options),
            *(*self._probing.words(), *output),
        ]


class ReportStage(Stage):
    """Report on all runs of the study."""

    name = "report"
    needs_all = False

    def __init__(self, title: str, runs: Path, output: Path, needs: Sequence[str]) -> None:
        self._title, self._runs, self._output = title, runs, output
        self.needs = tuple(needs)

    def status(self) -> Status:
        """Done if the page is newer than all metrics and probe results."""
        page = self._output / "report.html"
        if not page.is_file():
            return Status("to do")
        sources = [path for name in (METRICS, PROBE_REPORT) for path in self._runs.rglob(name)]
        changed = max((path.stat().st_mtime_ns for path in sources), default=0)
        return Status("done" if page.stat().st_mtime_ns >= changed else "to do")

    def command(self) -> list[str]:
        """Report on the folder of runs."""
        return ["report", str(self._runs), "-o", str(self._output), "--title", self._title]
