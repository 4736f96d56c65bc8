"""The stages that probe a model, and that write the report."""

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
    """What a study asks of all models alike.

    Attributes:
        task: Name of the task.
        recipe: Name or file of a recipe; None for none.
        seeds: Classifiers to train; None for the recipe's number, or the default.
        places: Where the study is.
        where: Where to compute.
    """

    task: str
    recipe: str | None
    seeds: int | None
    places: StudyPaths
    where: ComputeOptions

    @property
    def result(self) -> str:
        """Name of the result's folder, as `probe` chooses it."""
        return result_name(self.request)

    @property
    def data(self) -> Path:
        """The data set."""
        return self.places.task_data(self.task)

    @cached_property
    def missing(self) -> list[str]:
        """A line for a data set that is not there, or not whole; it is read once for all models."""
        if lines := missing_folder(self.data, self.task):
            return lines
        try:
            load_data(resolve_settings(self.request, load_registry()), self.data)
        except MissingDataError as error:
            return [str(error).rstrip(".")]
        return []

    @property
    def request(self) -> ProbeRequest:
        """As the probe's workflow takes it, without model."""
        return ProbeRequest(self.task, recipe=self.recipe, seeds=self.seeds)

    def words(self) -> list[str]:
        """Options of `probe`."""
        asked = words({"recipe": self.recipe, "seeds": self.seeds})
        return [*asked, *self.places.named(self.task), *self.where.words(many=False)]


class ProbeStage(Stage):
    """A probe result of this very model, made with these very settings."""

    def __init__(self, model: str, probing: Probing, needs: tuple[str, ...]) -> None:
        self.name, self.needs = f"probe {probing.task} {model}", needs
        self._probing = probing

    def status(self) -> Status:
        """Done when the result is there."""
        settings = resolve_settings(self._probing.request, load_registry())
        reason = why_unfinished(self.output, settings, self._probing.data, self.model_hash())
        return Status("done") if reason is None else Status("to do", reason)

    def missing(self) -> list[str]:
        """The data set."""
        return [] if self._is_made else self._probing.missing

    def command(self) -> list[str]:
        """Always the same."""
        asked = self._probing.words()
        return ["probe", self._probing.task, *self.model_words(), *asked, *self.output_words()]

    @property
    @abstractmethod
    def output(self) -> Path:
        """Folder of the result."""

    @abstractmethod
    def model_words(self) -> list[str]:
        """Options that name the model."""

    def output_words(self) -> list[str]:
        """Options that name the output, where it is not where `probe` writes by itself."""
        return []

    @abstractmethod
    def model_hash(self) -> str | None:
        """Of the weights that are to be probed; None while there are none."""

    @property
    def _is_made(self) -> bool:
        """Whether the data set is made by a stage before this one."""
        return "music" in self.needs


class RunProbeStage(ProbeStage):
    """A probe of a run's newest checkpoint."""

    def __init__(self, run: Path, probing: Probing, needs: tuple[str, ...]) -> None:
        super().__init__(run.name, probing, needs)
        self._run = run

    @property
    def output(self) -> Path:
        """Where `probe` writes by itself."""
        return self._run / PROBES / self._probing.result

    def model_words(self) -> list[str]:
        """The run."""
        return ["--model", str(self._run)]

    def model_hash(self) -> str | None:
        """Of its newest checkpoint."""
        found = latest_checkpoint(self._run)
        return weights_hash(found.folder) if found else None


class UntrainedProbeStage(ProbeStage):
    """A probe of an encoder before it has learned."""

    def __init__(
        self, encoder: str, folder: Path, probing: Probing, needs: tuple[str, ...]
    ) -> None:
        super().__init__(f"{UNTRAINED}-{encoder}", probing, needs)
        self._encoder, self._folder = encoder, folder

    @property
    def output(self) -> Path:
        """In a folder of the study's."""
        return self._folder / self._probing.result

    def model_words(self) -> list[str]:
        """The encoder."""
        return ["--model", UNTRAINED, "--encoder", self._encoder]

    def output_words(self) -> list[str]:
        """The folder."""
        return ["-o", str(self.output)]

    def model_hash(self) -> str | None:
        """Of its name, options and seed."""
        part = find_part(load_registry(), "encoder", self._encoder)
        return untrained_model(part, torch.device("cpu")).hash


class ReportStage(Stage):
    """A page that is newer than all that it reports on."""

    name = "report"
    needs_all = False

    def __init__(self, title: str, runs: Path, output: Path, needs: Sequence[str]) -> None:
        self._title, self._runs, self._output = title, runs, output
        self.needs = tuple(needs)

    def status(self) -> Status:
        """Done when nothing has come since."""
        page = self._output / "report.html"
        if not page.is_file():
            return Status("to do")
        sources = [path for name in (METRICS, PROBE_REPORT) for path in self._runs.rglob(name)]
        changed = max((path.stat().st_mtime_ns for path in sources), default=0)
        return Status("done" if page.stat().st_mtime_ns >= changed else "to do")

    def command(self) -> list[str]:
        """Of all runs of the study."""
        return ["report", str(self._runs), "-o", str(self._output), "--title", self._title]
