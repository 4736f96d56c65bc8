"""`probe`: how well a frozen encoder's embeddings tell the classes of a labelled data set."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol, TaskData
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.models import Model, resolve_model
from mscol_cli.errors import MissingDataError
from mscol_cli.files import write_json, write_text
from mscol_cli.host import load_registry
from mscol_cli.probing.bootstrap import interval
from mscol_cli.probing.classifier import DrawEpoch, TrainedProbe, train_probe
from mscol_cli.probing.clips import BoolArray, ClipWindows, FloatArray
from mscol_cli.probing.metrics import METRICS, scored_classes
from mscol_cli.reports.tables import (
    ProbeResult,
    ProbeSummary,
    Score,
    ScoredSet,
    summary_dict,
    summary_markdown,
)
from mscol_cli.workflows.heard import heard_note
from mscol_cli.workflows.probe_clips import EmbeddedTask, RandomCrops, embed_task, same_windows
from mscol_cli.workflows.probe_settings import (
    ProbeRequest,
    ProbeSettings,
    load_data,
    resolve_settings,
)

__all__ = ["ProbeRequest", "ProbeResult", "dry_run", "run"]

MOST_WARNINGS = 10


def dry_run(request: ProbeRequest) -> str:
    """The configuration of a probe, as TOML. Raises UsageError."""
    return resolve_settings(request, load_registry()).to_toml()


def run(request: ProbeRequest, progress: Progress) -> ProbeResult:
    """Embed a task's clips, train shallow classifiers on them, test each once.

    Raises:
        UsageError: An unknown task or model, an option out of range.
        MissingDataError: The data set is not there, or a split of it has nothing to use.
    """
    registry = load_registry()
    settings = resolve_settings(request, registry)
    folder, data = load_data(settings, request.data)
    device = pick_device(request.device)
    model = resolve_model(request.model, request.encoder, registry, device)
    times = [time.monotonic()]
    embedded = embed_task(data, model, device, progress)
    _warn(data.missing, embedded.failures, progress)
    test_sets = _test_sets(data, embedded)
    _check(embedded, settings.protocol, f"'{settings.part.name}' in {folder}", data, test_sets)
    times.append(time.monotonic())
    probes = list(_train(settings, embedded, model, device, progress))
    scored = _score_sets(settings.protocol, probes, embedded.clips["test"], test_sets, data.classes)
    times.append(time.monotonic())
    summary = _summarise(settings, data, folder, model, embedded, probes)
    stages = {"embeddings": times[1] - times[0], "classifiers": times[2] - times[1]}
    heard = heard_note(model, data.items, folder, settings.part.name)
    notes = (*heard, *summary.notes)
    summary = replace(summary, test_sets=tuple(scored), seconds=stages, notes=notes)
    return _write(summary, request.output or _default_output(request, model))


def _warn(missing: Sequence[str], failures: Sequence[tuple[str, str]], progress: Progress) -> None:
    if missing:
        progress.warn(f"clips without audio, left out: {len(missing)}, such as {missing[0]}.")
    for _, reason in failures[:MOST_WARNINGS]:
        progress.warn(f"left out: {reason}")
    if len(failures) > MOST_WARNINGS:
        progress.warn(f"{len(failures) - MOST_WARNINGS} more clips are left out: see the report.")


def _test_sets(data: TaskData, embedded: EmbeddedTask) -> dict[str, BoolArray]:
    """By name of a test set, which of the embedded test clips are in it."""
    ids = [item.id for item in embedded.items["test"]]
    sets = data.test_sets or {"test": frozenset(ids)}
    return {
        name: np.array([clip in members for clip in ids], dtype=bool)
        for name, members in sets.items()
    }


def _check(
    embedded: EmbeddedTask,
    protocol: ProbeProtocol,
    where: str,
    data: TaskData,
    test_sets: Mapping[str, BoolArray],
) -> None:
    for split, clips in embedded.clips.items():
        if len(clips.counts) == 0:
            named = sum(item.split == split for item in data.items)
            raise MissingDataError(
                f"the {split} split of {where} has no clip to use ({named} with audio): add clips,"
                " or split it otherwise."
            )
    if protocol.select not in ("accuracy", "binary_accuracy"):
        _check_classes("valid", embedded.clips["valid"].targets, where)
    for name, rows in test_sets.items():
        _check_classes(name, embedded.clips["test"].targets[rows], where)


def _check_classes(split: str, targets: BoolArray, where: str) -> None:
    if not scored_classes(targets).any():
        raise MissingDataError(
            f"the {split} split of {where} has no class with both positives and negatives, so there"
            " is no score: add clips."
        )


def _train(
    settings: ProbeSettings,
    embedded: EmbeddedTask,
    model: Model,
    device: torch.device,
    progress: Progress,
) -> Iterator[TrainedProbe]:
    protocol, windows = settings.protocol, same_windows(embedded, device)
    progress.begin("classifiers", settings.seeds, "seed")
    for seed in range(settings.seeds):
        draw: DrawEpoch = windows
        if protocol.crops == "random":
            draw = RandomCrops(embedded, model, protocol, seed, device)
        probe = train_probe(protocol, draw, seed, device)
        progress.advance(valid=f"{probe.valid_score:.3f}", epochs=str(probe.epochs))
        yield probe
    progress.end()


def _score_sets(
    protocol: ProbeProtocol,
    probes: Sequence[TrainedProbe],
    test: ClipWindows,
    test_sets: Mapping[str, BoolArray],
    classes: Sequence[str],
) -> Iterator[ScoredSet]:
    scores = np.stack([probe.clip_scores(test) for probe in probes])
    for name, rows in test_sets.items():
        targets = test.targets[rows]
        both = zip(classes, scored_classes(targets), strict=True)
        yield ScoredSet(
            name=name,
            clips=len(targets),
            metrics={
                metric: _score(metric, scores[:, rows], targets) for metric in protocol.metrics
            },
            unscored=tuple(label for label, scored in both if not scored),
        )


def _score(metric: str, scores: FloatArray, targets: BoolArray) -> Score:
    per_seed = [METRICS[metric](one, targets) for one in scores]
    low, high = interval(metric, scores, targets)
    spread = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else 0.0
    return Score(float(np.mean(per_seed)), low, high, spread, tuple(per_seed))


def _summarise(
    settings: ProbeSettings,
    data: TaskData,
    folder: Path,
    model: Model,
    embedded: EmbeddedTask,
    probes: Sequence[TrainedProbe],
) -> ProbeSummary:
    return ProbeSummary(
        task=settings.part.name,
        data=str(folder),
        options=asdict(settings.part.options),
        protocol=settings.described_protocol(),
        recipe=settings.recipe,
        model=model.name,
        model_hash=model.hash,
        model_step=model.step,
        seeds=len(probes),
        test_sets=(),
        counts={split: len(clips.counts) for split, clips in embedded.clips.items()},
        windows={split: len(clips.windows) for split, clips in embedded.clips.items()},
        classes=tuple(data.classes),
        best_epochs=tuple(probe.best_epoch for probe in probes),
        missing=tuple(data.missing),
        failures=tuple(embedded.failures),
        notes=tuple(data.notes),
    )


def _default_output(request: ProbeRequest, model: Model) -> Path:
    # Other options can mean other scores, whose report must not replace these.
    recipe = [Path(request.recipe).stem] if request.recipe else []
    name = _file_name("-".join([request.task, *recipe, *request.options, *request.protocol]))
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
    write_text(result.markdown_path, summary_markdown(summary))
    return result
