"""Where the data set of a probe task lies, and what reads it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from mscol_cli.contracts.cards import TaskCard
from mscol_cli.contracts.task import Task
from mscol_cli.host import Part

DATA = Path("data")
"""Where commands look for data sets and stores."""


def task_and_folder(text: str) -> tuple[str, Path]:
    """The task that `TASK` or `TASK=DIR` names, and the folder of its data: `data/TASK`, or DIR."""
    task, _, folder = text.partition("=")
    return task, Path(folder) if folder else DATA / task


def build_task(part: Part) -> Task:
    """A task from its card and options."""
    return cast(TaskCard, part.entry.card).build(part.options)
