"""What one stage of a study is to those that plan and run it."""

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
    """Where the parts of a study are.

    Attributes:
        data: Folder of data sets and stores.
        runs: Folder that gets a run folder for each run.
        probes: Folder of results of models without a run.
        report: Folder of the page; None for no page.
    """

    data: Path
    runs: Path
    probes: Path
    report: Path | None = None

    def task_data(self, task: str) -> Path:
        """The data set of a task."""
        return self.data / task

    def named(self, task: str) -> Sequence[str]:
        """Options that name it where it is not where commands look by themselves."""
        return [] if self.data == DATA else ["--data", str(self.task_data(task))]


@dataclass(frozen=True)
class ComputeOptions:
    """Where to compute, which no study says.

    Attributes:
        device: `--device`; None for each command's default.
        gpus: `--gpus` of separation and training; None for one process.
    """

    device: str | None = None
    gpus: int | None = None

    def words(self, *, many: bool) -> list[str]:
        """As options of a command; `many` for one that takes several GPUs."""
        words = ["--device", self.device] if self.device else []
        return words + (["--gpus", str(self.gpus)] if many and self.gpus else [])


@dataclass(frozen=True)
class Status:
    """How far a stage is.

    Attributes:
        state: `done`, `to do`, or `resume` for one that is begun.
        note: How far, in words.
    """

    state: State
    note: str = ""


class Stage(ABC):
    """One link of a chain.

    Attributes:
        name: Its kind, and what it is about.
        needs: Names of the stages whose output it takes.
        needs_all: Whether it needs all of them; one of them is enough otherwise.
        means: Whether its output is of no use once those that need it are done.
    """

    name: str
    needs: tuple[str, ...] = ()
    needs_all = True
    means = False

    @abstractmethod
    def status(self) -> Status:
        """How far it is, by its own output.

        Raises:
            UsageError: Its output was made otherwise; the message says what differs.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """What runs it now, after `mscol`."""

    def missing(self) -> list[str]:
        """What has to be there before it, and is not: a line each, saying what to do."""
        return []

    def run(self, progress: Progress, execute: Execute) -> int:
        """Run it; returns an exit code."""
        return execute(self.command())


def words(options: Mapping[str, Any]) -> list[str]:
    """Options by their names in recipes, as words of a command line."""
    return [
        word
        for name, value in options.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
