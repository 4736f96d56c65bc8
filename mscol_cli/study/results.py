"""Stages that probe a model, and write the report."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from mscol_cli.engine.models import UNTRAINED, untrained_model
from mscol_cli.errors import MissingDataError
from mscol_cli.host import find_part, load_registry
from mscol_cli.probe.output import result_name, why_unfinished
from mscol_cli.probe.settings import ProbeRequest, load_data, resolve_settings
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
        return ProbeRequest(self.task, recipe=self.recipe, seeds=self.seeds)

    def words(self) -> list[str]:
        """Options of the `probe` command."""
        options = words({"recipe": self.recipe, "seeds": self.seeds})
        return [*options, *self.paths.data_options(self.task), *self.compute.words(many=False)]


class ProbeStage(Stage):
    """Probe of a model."""

    def __init__(self, model: str, probing: Probing, needs: tuple[str, ...]) -> None:
        self.name, self.needs = f"probe {probing.task} {model}", needs
        self._probing = probing

    def status(self) -> Status:
        """Done if there is a result of the same model and settings."""
        settings = resolve_settings(self._probing.request, load_registry())
        reason = why_unfinished(self.output, settings, self._probing.data, self.model_hash())
        return Status("done") if reason is None else Status("to do", reason)

    def missing(self) -> list[str]:
        """Missing data set."""
        return [] if self._is_made else self._probing.missing

    def command(self) -> list[str]:
        """The same command in all states."""
        options = self._probing.words()
        return ["probe", self._probing.task, *self.model_words(), *options, *self.output_words()]

    @property
    @abstractmethod
    def output(self) -> Path:
        """Folder of the result."""

    @abstractmethod
    def model_words(self) -> list[str]:
        """Options for the model."""

    def output_words(self) -> list[str]:
        """Options for the output; empty for the default of `probe`."""
        return []

    @abstractmethod
    def model_hash(self) -> str | None:
        """Hash of the weights; None if there are no weights yet."""

    @property
    def _is_made(self) -> bool:
        """Whether an earlier stage creates the data set."""
        return "music" in self.needs


class RunProbeStage(ProbeStage):
    """Probe of the newest checkpoint of a run."""

    def __init__(self, run: Path, probing: Probing, needs: tuple[str, ...]) -> None:
        super().__init__(run.name, probing, needs)
        self._run = run

    @property
    def output(self) -> Path:
        """Default output of `probe`."""
        return self._run / PROBES / self._probing.result

    def model_words(self) -> list[str]:
        """Options for the run."""
        return ["--model", str(self._run)]

    def model_hash(self) -> str | None:
        """Hash of the newest checkpoint."""
        checkpoint = latest_checkpoint(self._run)
        return weights_hash(checkpoint.folder) if checkpoint else None


class UntrainedProbeStage(ProbeStage):
    """Probe of an untrained encoder."""

    def __init__(
        self, encoder: str, folder: Path, probing: Probing, needs: tuple[str, ...]
    ) -> None:
        super().__init__(f"{UNTRAINED}-{encoder}", probing, needs)
        self._encoder, self._folder = encoder, folder

    @property
    def output(self) -> Path:
        """Folder in the study."""
        return self._folder / self._probing.result

    def model_words(self) -> list[str]:
        """Options for the encoder."""
        return ["--model", UNTRAINED, "--encoder", self._encoder]

    def output_words(self) -> list[str]:
        """Options for the folder."""
        return ["-o", str(self.output)]

    def model_hash(self) -> str | None:
        """Hash of name, options and seed."""
        part = find_part(load_registry(), "encoder", self._encoder)
        return untrained_model(part, torch.device("cpu")).hash


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
