"""Probe tasks and the folders of their data sets."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from mscol_cli.contracts.task import StemRetrieval, Task, TaskData
from mscol_cli.host import Part
from mscol_cli.host.building import build_part
from mscol_cli.host.checks.task import validate_task
from mscol_cli.host.guard import label_of
from mscol_cli.probe.metrics import check_metrics

DATA = Path("data")
"""Default folder of data sets and stores."""


def task_and_folder(text: str) -> tuple[str, Path]:
    """Parse `TASK` or `TASK=DIR`; returns the task and its data folder, `data/TASK` or DIR."""
    task, _, folder = text.partition("=")
    return task, Path(folder) if folder else DATA / task


def build_task(part: Part) -> Task:
    """Build a task from its card and options.

    Raises:
        PluginError: The task breaks the contract of tasks.
        PluginCallError: The plugin raised an exception.
        UsageError: The protocol requests unknown metrics.
    """
    task: Task = build_part(part, Task)
    validate_task(task)
    check_metrics(task.protocol, label_of(task), isinstance(task, StemRetrieval))
    return task


def data_hash(data: TaskData) -> str:
    """Hash of a data set: its classes, test sets, and the id, split, labels and groups of each
    clip; hex. It does not depend on the order of the clips, or on their audio."""
    clips = sorted(
        [item.id, item.split, sorted(item.labels), sorted(item.groups.items())]
        for item in data.items
    )
    test_sets = {name: sorted(members) for name, members in data.test_sets.items()}
    return sha256(json.dumps([data.classes, test_sets, clips]).encode()).hexdigest()


def track_id(path: Path, root: Path) -> str:
    """Track id of a file in `mscol separate ROOT`; the full path for a file outside `root`."""
    relative = path.relative_to(root) if path.is_relative_to(root) else path
    return relative.with_suffix("").as_posix()
