"""The data set of a probe task: where it lies, and what reads it."""

from __future__ import annotations

from pathlib import Path

from mscol_cli.contracts.task import Task
from mscol_cli.host import Part
from mscol_cli.host.building import build_part
from mscol_cli.host.checks.task import validate_task
from mscol_cli.probe.metrics import check_metrics

DATA = Path("data")
"""Where commands look for data sets and stores."""


def task_and_folder(text: str) -> tuple[str, Path]:
    """The task that `TASK` or `TASK=DIR` names, and the folder of its data: `data/TASK`, or DIR."""
    task, _, folder = text.partition("=")
    return task, Path(folder) if folder else DATA / task


def build_task(part: Part) -> Task:
    """A task from its card and options.

    Raises:
        PluginError: It breaks the contract of tasks.
        PluginCallError: Its plugin raised an exception.
        UsageError: Its protocol asks for metrics that there are not.
    """
    task: Task = build_part(part, Task)
    validate_task(task)
    check_metrics(task.protocol, part.name)
    return task


def track_id(path: Path, root: Path) -> str:
    """What `mscol separate ROOT` calls the track of a file; its whole path for one elsewhere."""
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return inside.with_suffix("").as_posix()
