"""`probe`: how well a frozen encoder's embeddings tell the classes of a labelled data set."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from mscol_cli.contracts.cards import TaskCard
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import Split, Task, TaskData, TaskItem
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.models import Model, resolve_model
from mscol_cli.errors import MissingDataError, MscolError, UsageError
from mscol_cli.files import write_atomically, write_json
from mscol_cli.host import Registry, load_registry
from mscol_cli.probing.bootstrap import interval
from mscol_cli.probing.classifier import TrainedProbe, train_probe
from mscol_cli.probing.clips import BoolArray, ClipWindows, FloatArray
from mscol_cli.probing.metrics import METRICS, check_metrics, scored_classes
from mscol_cli.reports.tables import (
    ProbeResult,
    ProbeSummary,
    Score,
    summary_dict,
    summary_markdown,
)
from mscol_cli.workflows.embeddings import embed_cached

__all__ = ["ProbeRequest", "ProbeResult", "run"]

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
MOST_WARNINGS = 10


@dataclass(frozen=True)
class ProbeRequest:
    """What to probe, with what.

    Attributes:
        task: Name of the task.
        data: The data set's folder; None for `data/TASK`.
        model: A run or checkpoint folder, `untrained`, or None for `runs/latest`.
        encoder: The encoder of `untrained`.
        seeds: How many classifiers to train.
        output: Folder of the report; None for `RUN/probes/TASK`, or `probes/MODEL-TASK` when the
            model has no run.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        options: The task's options, as `KEY=VALUE`.
    """

    task: str
    data: Path | None = None
    model: str | None = None
    encoder: str | None = None
    seeds: int = 5
    output: Path | None = None
    device: str = "auto"
    options: Sequence[str] = ()


@dataclass(frozen=True)
class _Setup:
    """A task with its options and its data set, read and checked."""

    name: str
    folder: Path
    options: Any
    task: Task
    data: TaskData


def run(request: ProbeRequest, progress: Progress) -> ProbeResult:
    """Embed a task's clips, train shallow classifiers on them, test each once.

    Raises:
        UsageError: An unknown task or model, an option out of range.
        MissingDataError: The data set is not there, or a split of it has nothing to use.
    """
    if request.seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {request.seeds}.")
    registry = load_registry()
    setup = _set_up(request, registry)
    device = pick_device(request.device)
    model = resolve_model(request.model, request.encoder, registry, device)
    times = [time.monotonic()]
    splits, failures = _embed_splits(setup.data, model, device, progress)
    _check_splits(splits, setup)
    times.append(time.monotonic())
    probes = _train(setup.task, splits, request.seeds, device, progress)
    scores = _scores(setup.task, probes, splits["test"])
    times.append(time.monotonic())
    summary = _summarise(setup, model, splits, probes, scores)
    stages = {"embeddings": times[1] - times[0], "classifiers": times[2] - times[1]}
    summary = replace(summary, failures=tuple(failures), seconds=stages)
    return _write(summary, request.output or _default_output(request, model))


def _set_up(request: ProbeRequest, registry: Registry) -> _Setup:
    entry = registry.find("task", request.task)
    options = entry.options(request.options)
    task = cast(TaskCard, entry.card).build(options)
    check_metrics(task.protocol, request.task)
    folder = request.data or Path("data") / request.task
    if not folder.is_dir():
        raise MissingDataError(
            f"{folder} is no folder: put the data of '{request.task}' there, or use --data."
        )
    data = task.load(folder)
    problem = _problem(data, task)
    if problem:
        raise MscolError(f"task '{request.task}' read {folder} wrongly: {problem}.")
    return _Setup(request.task, folder, options, task, data)


def _problem(data: TaskData, task: Task) -> str | None:
    """What breaks the contract that the rest relies on."""
    if len({item.id for item in data.items}) < len(data.items):
        return "two clips have one id"
    for item in data.items:
        single = task.protocol.multilabel or len(item.labels) == 1
        if not single or not all(0 <= label < len(data.classes) for label in item.labels):
            return f"clip '{item.id}' has labels {item.labels}, of {len(data.classes)} classes"
    return None


def _embed_splits(
    data: TaskData, model: Model, device: torch.device, progress: Progress
) -> tuple[dict[Split, ClipWindows], list[tuple[str, str]]]:
    """The usable clips of each split, and the names of the others with the reason."""
    progress.begin("embedding", len(data.items), "clip")
    splits: dict[Split, ClipWindows] = {}
    failures: list[tuple[str, str]] = []
    for split in SPLITS:
        items = [item for item in data.items if item.split == split]
        found = embed_cached(model, [item.path for item in items], device, progress)
        failures += [(items[row].id, reason) for row, reason in found.failures.items()]
        kept = np.flatnonzero(found.counts)
        targets = _targets([items[row] for row in kept], len(data.classes))
        splits[split] = ClipWindows(found.windows, found.counts[kept], targets)
    progress.end()
    _warn(data.missing, failures, progress)
    return splits, failures


def _warn(missing: Sequence[str], failures: Sequence[tuple[str, str]], progress: Progress) -> None:
    if missing:
        progress.warn(f"clips without audio, left out: {len(missing)}, such as {missing[0]}.")
    for _, reason in failures[:MOST_WARNINGS]:
        progress.warn(f"left out: {reason}")
    if len(failures) > MOST_WARNINGS:
        progress.warn(f"{len(failures) - MOST_WARNINGS} more clips are left out: see the report.")


def _targets(items: Sequence[TaskItem], classes: int) -> BoolArray:
    targets = np.zeros((len(items), classes), dtype=bool)
    for row, item in enumerate(items):
        targets[row, list(item.labels)] = True
    return targets


def _check_splits(splits: Mapping[Split, ClipWindows], setup: _Setup) -> None:
    for split, clips in splits.items():
        if len(clips.counts) == 0:
            named = sum(item.split == split for item in setup.data.items)
            raise MissingDataError(
                f"the {split} split of '{setup.name}' in {setup.folder} has no clip to use"
                f" ({named} with audio): add clips, or split it otherwise."
            )
    if setup.task.protocol.select != "accuracy":
        _check_classes("valid", splits["valid"], setup)
    _check_classes("test", splits["test"], setup)


def _check_classes(split: Split, clips: ClipWindows, setup: _Setup) -> None:
    if not scored_classes(clips.targets).any():
        raise MissingDataError(
            f"the {split} split of '{setup.name}' in {setup.folder} has no class with both"
            " positives and negatives, so there is no score: add clips."
        )


def _train(
    task: Task,
    splits: Mapping[Split, ClipWindows],
    seeds: int,
    device: torch.device,
    progress: Progress,
) -> list[TrainedProbe]:
    on_device = {split: splits[split].to(device) for split in ("train", "valid")}
    progress.begin("classifiers", seeds, "seed")
    probes = []
    for seed in range(seeds):
        probe = train_probe(task.protocol, on_device["train"], on_device["valid"], seed, device)
        probes.append(probe)
        progress.advance(valid=f"{probe.valid_score:.3f}", epochs=str(probe.epochs))
    progress.end()
    return probes


def _scores(task: Task, probes: Sequence[TrainedProbe], test: ClipWindows) -> dict[str, Score]:
    scores = np.stack([probe.clip_scores(test) for probe in probes])
    return {name: _score(name, scores, test.targets) for name in task.protocol.metrics}


def _score(metric: str, scores: FloatArray, targets: BoolArray) -> Score:
    per_seed = [METRICS[metric](one, targets) for one in scores]
    low, high = interval(metric, scores, targets)
    spread = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else 0.0
    return Score(float(np.mean(per_seed)), low, high, spread, tuple(per_seed))


def _summarise(
    setup: _Setup,
    model: Model,
    splits: Mapping[Split, ClipWindows],
    probes: Sequence[TrainedProbe],
    scores: Mapping[str, Score],
) -> ProbeSummary:
    scored = scored_classes(splits["test"].targets)
    return ProbeSummary(
        task=setup.name,
        data=str(setup.folder),
        options=asdict(setup.options),
        model=model.name,
        model_hash=model.hash,
        model_step=model.step,
        seeds=len(probes),
        metrics=scores,
        counts={split: len(clips.counts) for split, clips in splits.items()},
        windows={split: len(clips.windows) for split, clips in splits.items()},
        classes=len(setup.data.classes),
        unscored=tuple(
            name for name, both in zip(setup.data.classes, scored, strict=True) if not both
        ),
        best_epochs=tuple(probe.best_epoch for probe in probes),
        missing=tuple(setup.data.missing),
        notes=tuple(setup.data.notes),
    )


def _default_output(request: ProbeRequest, model: Model) -> Path:
    # Other options can mean another test set, whose report must not replace this one's.
    name = _file_name("-".join([request.task, *request.options]))
    if model.run is not None:
        return model.run / "probes" / name
    return Path("probes") / f"{_file_name(model.name)}-{name}"


def _file_name(text: str) -> str:
    return re.sub(r"[^\w=.-]", "_", text)


def _write(summary: ProbeSummary, folder: Path) -> ProbeResult:
    values: dict[str, Any] = {item.name: getattr(summary, item.name) for item in fields(summary)}
    result = ProbeResult(
        **values, json_path=folder / "probe.json", markdown_path=folder / "probe.md"
    )
    write_json(result.json_path, summary_dict(summary))
    text = summary_markdown(summary)
    write_atomically(result.markdown_path, lambda temporary: _write_text(temporary, text))
    return result


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
