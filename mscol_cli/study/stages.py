"""Interface of the stages of a study, and their common settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mscol_cli.contracts.progress import Progress
from mscol_cli.probe.tasks import DATA

Execute = Callable[[Sequence[str]], int]
"""Runs a command line (without `mscol`) and returns its exit code."""
State = Literal["done", "to do", "resume"]


@dataclass(frozen=True)
class StudyPaths:
    """Folders of a study.

    Attributes:
        data: Folder of data sets and stores.
        runs: Folder of runs.
        probes: Folder of probe results of models without a run.
        report: Folder of the report; None for no report.
    """

    data: Path
    runs: Path
    probes: Path
    report: Path | None = None

    def task_data(self, task: str) -> Path:
        """Folder of a task's data set."""
        return self.data / task

    def data_options(self, task: str) -> Sequence[str]:
        """Options for a task's data set; empty for the default folder."""
        return [] if self.data == DATA else ["--data", str(self.task_data(task))]

    def task_argument(self, task: str) -> str:
        """`TASK`, or `TASK=DIR` unless DIR is the default folder."""
        return task if self.data == DATA else f"{task}={self.task_data(task)}"


@dataclass(frozen=True)
class ComputeOptions:
    """Device options, which are not part of a study.

    Attributes:
        device: `--device`; None for the default of each command.
        gpus: `--gpus` of separation and training; None for one process.
    """

    device: str | None = None
    gpus: int | None = None

    def words(self, *, many: bool) -> list[str]:
        """Format as options; `many` for a command that supports several GPUs."""
        words = ["--device", self.device] if self.device else []
        return words + (["--gpus", str(self.gpus)] if many and self.gpus else [])


@dataclass(frozen=True)
class Status:
    """State of a stage.

    Attributes:
        state: `done`, `to do`, or `resume`.
        note: Progress, as text.
    """

    state: State
    note: str = ""


class Stage(ABC):
    """A stage of a study.

    Attributes:
        name: Name of the stage: its kind and its subject.
        needs: Names of required stages.
        needs_all: Whether all required stages must be done; otherwise, one is enough.
        is_intermediate: Whether the output is used only by later stages.
    """

    name: str
    needs: tuple[str, ...] = ()
    needs_all = True
    is_intermediate = False

    @abstractmethod
    def status(self) -> Status:
        """Determine the state from the output of the stage.

        Raises:
            UsageError: The output was made with other settings; the message has the differences.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """Command line that runs the stage, without `mscol`."""

    def missing(self) -> list[str]:
        """Instructions for missing inputs, one line each."""
        return []

    def run(self, progress: Progress, execute: Execute) -> int:
        """Run the stage; returns an exit code."""
        return execute(self.command())


def words(options: Mapping[str, Any], of_plugin: Sequence[str] = ()) -> list[str]:
    """Format options as words of a command line.

    Args:
        options: Options of the command, by their names in recipes.
        of_plugin: Options of its plugin, as `KEY=VALUE`.
    """
    pairs = [
        (f"--{name.replace('_', '-')}", str(value))
        for name, value in options.items()
        if value is not None
    ]
    return [word for pair in (*pairs, *(("--opt", item) for item in of_plugin)) for word in pair]
