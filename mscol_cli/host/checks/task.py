"""Checks of tasks: protocol, classes, clips and test sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import get_args

from mscol_cli.contracts.options import options_of
from mscol_cli.contracts.task import (
    Candidates,
    ProbeProtocol,
    Query,
    Similarity,
    Split,
    StemRetrieval,
    Task,
    TaskData,
    TaskItem,
)
from mscol_cli.errors import BadInputError, MissingDataError, UsageError
from mscol_cli.host.checks.values import NAME_RULE, attribute, breach, is_name, is_whole
from mscol_cli.host.guard import guarded, label_of
from mscol_cli.host.options import Wording, read_options

_RETRIEVAL = {"query": Query, "candidates": Candidates, "similarity": Similarity}


def validate_task(task: Task) -> None:
    """Check a task's protocol, except the names of metrics. Raises PluginError."""
    label = label_of(task)
    protocol = attribute(task, "protocol", label)
    if not isinstance(protocol, ProbeProtocol):
        raise breach(label, f"protocol is {type(protocol).__name__}, not a ProbeProtocol")
    if not isinstance(protocol.metrics, tuple) or not protocol.metrics:
        raise breach(
            label, f"metrics of its protocol are {protocol.metrics!r}, not a tuple of names"
        )
    _check_protocol(protocol, label)
    if isinstance(task, StemRetrieval):
        for name, values in _RETRIEVAL.items():
            if (value := attribute(task, name, label)) not in get_args(values):
                raise breach(label, f"{name} is {value!r}, not {' or '.join(get_args(values))}")


def load_task(task: Task, folder: Path) -> TaskData:
    """Read a task's data set.

    Raises:
        MissingDataError: The data set is missing.
        BadInputError: A file of it is damaged.
        UsageError: The options do not suit it.
        PluginError: The result of `load` breaks the contract.
        PluginCallError: `load` raised another exception.
    """
    allowed = (MissingDataError, BadInputError, UsageError)
    data = guarded(task, task.load, str(folder), allowed)(folder)
    validate_task_data(data, task.protocol.multilabel, f"{label_of(task)}: {folder}")
    return data


def validate_task_data(data: object, multilabel: bool, label: str) -> None:
    """Check the result of `Task.load`.

    Args:
        data: Result of `Task.load`.
        multilabel: Whether a clip may have any number of labels.
        label: Label of the task and its folder, for messages.

    Raises:
        PluginError: Classes or clips share a name, a label is out of range, or a type is wrong.
    """
    if not isinstance(data, TaskData):
        raise breach(label, f"load returned {type(data).__name__}, not a TaskData")
    _check_lists(data, label)
    _check_classes(data.classes, label)
    seen: set[str] = set()
    for item in data.items:
        if (problem := _problem(item, len(data.classes), multilabel)) is not None:
            raise breach(label, problem)
        if item.id in seen:
            raise breach(label, f"two clips have the id '{item.id}'")
        seen.add(item.id)
    _check_test_sets(data, label)


def _check_protocol(protocol: ProbeProtocol, label: str) -> None:
    """Check what users could set, too: a task may construct its protocol with any value."""
    if not isinstance(protocol.multilabel, bool):
        raise breach(label, f"multilabel of its protocol is {protocol.multilabel!r}, not a bool")
    known = options_of(protocol)
    try:
        values = {item.key: getattr(protocol, item.name) for item in known}
        read_options(known, values, Wording.in_file("its protocol"))
    except UsageError as error:
        raise breach(label, str(error).rstrip(".")) from None


def _check_lists(data: TaskData, label: str) -> None:
    for name in ("items", "missing", "notes", "failures"):
        if not isinstance(value := getattr(data, name), (list, tuple)):
            raise breach(label, f"{name} are {type(value).__name__}, not a list")
    for name in ("missing", "notes"):
        for value in getattr(data, name):
            if not isinstance(value, str):
                raise breach(label, f"{name} have {value!r}, which is not text")
    for failure in data.failures:
        pair = isinstance(failure, tuple) and len(failure) == 2
        if not pair or not all(isinstance(value, str) for value in failure):
            raise breach(label, f"failures have {failure!r}, not a name and a reason")


def _check_classes(classes: Iterable[object], label: str) -> None:
    names = list(classes) if isinstance(classes, (list, tuple)) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise breach(label, f"classes are {classes!r}, not names in the order of their labels")
    if len(set(names)) < len(names):
        raise breach(label, "two classes have the same name")


def _problem(item: object, classes: int, multilabel: bool) -> str | None:
    if not isinstance(item, TaskItem) or not isinstance(item.id, str):
        return f"{item!r} is not a TaskItem with an id"
    if item.split not in get_args(Split):
        return f"clip '{item.id}' has split {item.split!r}, not {', '.join(get_args(Split))}"
    if not isinstance(item.path, Path):
        return f"clip '{item.id}' has path {item.path!r}, which is not a Path"
    labels = item.labels
    single = isinstance(labels, tuple) and (multilabel or len(labels) == 1)
    if not single or not all(is_whole(label) and label < classes for label in labels):
        expected = "of ints" if multilabel else "of exactly one int"
        return (
            f"clip '{item.id}' has labels {labels!r}, not a tuple {expected} from 0 to"
            f" {classes - 1}, such as (0,)"
        )
    groups = item.groups.items() if isinstance(item.groups, Mapping) else [(None, item.groups)]
    if not all(isinstance(kind, str) and kind and isinstance(name, str) for kind, name in groups):
        return f"clip '{item.id}' has groups {item.groups!r}, not names by kind"
    return None


def _check_test_sets(data: TaskData, label: str) -> None:
    if not isinstance(data.test_sets, Mapping):
        raise breach(label, f"test_sets are {type(data.test_sets).__name__}, not sets by name")
    tested = {item.id for item in data.items if item.split == "test"}
    for name, members in data.test_sets.items():
        if not isinstance(name, str) or not isinstance(members, Set):
            raise breach(label, f"test set {name!r} is {type(members).__name__}, not a set by name")
        if not is_name(name):
            raise breach(label, f"a test set is named {name!r}: {NAME_RULE}")
        if not members <= tested:
            unknown = next(member for member in members if member not in tested)
            raise breach(label, f"test set '{name}' has '{unknown}', which is not a test clip")
