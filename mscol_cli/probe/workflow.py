"""`probe`: shallow classifiers on the embeddings of a frozen encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import StemRetrieval, TaskData
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.models import Model, resolve_model
from mscol_cli.errors import MissingDataError
from mscol_cli.host import load_registry
from mscol_cli.probe.clips import EmbeddedTask, embed_task, long_clip_notes, without_windows
from mscol_cli.probe.corrupted import score_corrupted
from mscol_cli.probe.finetune import FineTuned, fine_tune, frozen_note
from mscol_cli.probe.label_budget import score_budgets
from mscol_cli.probe.leakage import overlap_note, shared_groups
from mscol_cli.probe.output import check_writable, default_output, warn_of_other_data, write_result
from mscol_cli.probe.request import ProbeRequest
from mscol_cli.probe.result import ProbeResult
from mscol_cli.probe.retrieved import retrieve_stems
from mscol_cli.probe.saving import Trained, calibrate_best
from mscol_cli.probe.scoring import check_splits, find_test_sets, resample_scores, scored_sets
from mscol_cli.probe.settings import (
    ProbeSettings,
    load_data,
    refuse_classifier_options,
    resolve_settings,
)
from mscol_cli.probe.sources import attribute, find_sources
from mscol_cli.probe.tasks import data_hash
from mscol_cli.probe.training import timed, train_probes, valid_scores, weight_decays
from mscol_cli.probe.windows import BoolArray
from mscol_cli.system.outcomes import silence_note

__all__ = ["ProbeRequest", "ProbeResult", "dry_run", "probe_model", "run"]

MAX_WARNINGS = 10


def dry_run(request: ProbeRequest) -> str:
    """Format the settings of a probe as TOML. Raises UsageError."""
    return resolve_settings(request, load_registry()).to_toml()


def run(request: ProbeRequest, progress: Progress) -> ProbeResult:
    """Embed the clips of a task, and train and test shallow classifiers.

    Raises:
        UsageError: Unknown task or model, or an option out of range.
        MissingDataError: The data set does not exist, or a split has no usable clip.
    """
    registry = load_registry()
    settings = resolve_settings(request, registry)
    if isinstance(settings.task, StemRetrieval):
        refuse_classifier_options(request, request.task)
    data_set = load_data(settings, request.data)
    model = resolve_model(request.model, request.encoder, registry, pick_device(request.device))
    output = request.output or default_output(request, model)
    check_writable(output)
    progress.note(model.describe())
    return probe_model(settings, data_set, model, output, progress)


def probe_model(
    settings: ProbeSettings,
    data_set: tuple[Path, TaskData],
    model: Model,
    output: Path,
    progress: Progress,
) -> ProbeResult:
    """Probe a model on the data set of a task, and write the result to a folder.

    Raises:
        MissingDataError: A split has no usable clip.
        MscolError: The output cannot be written.
    """
    folder, data = data_set
    warn_of_other_data(output, folder, progress)
    if isinstance(settings.task, StemRetrieval):
        return _retrieve(settings, settings.task, folder, model, output, progress)
    tested = [item for item in data.items if item.split == "test"]
    sources = find_sources(settings.stems, tested, folder) if settings.stems else None
    _check_data(settings, folder, data)
    seconds: dict[str, float] = {}
    with timed(seconds, "embeddings"):
        embedded = embed_task(data, model, progress)
    embedded = replace(embedded, failures=[*data.failures, *embedded.failures])
    _warn(data.missing, embedded.failures, progress)
    # Checked again, as clips may have failed.
    test_sets = _checked_sets(settings, folder, data, embedded)
    with timed(seconds, "classifiers"):
        trained = _train(settings, embedded, model, progress)
    with timed(seconds, "scores"):
        clip_scores = resample_scores(
            settings.protocol, trained.scores, embedded, test_sets, data.classes
        )
        train = embedded.clips["train"].targets
        scored = tuple(scored_sets(settings.protocol, clip_scores, train))
    probes = trained.probes
    with timed(seconds, "label budgets"):
        budgets = tuple(score_budgets(settings, embedded, model, clip_scores, progress))
    with timed(seconds, "deformations"):
        corrupted = score_corrupted(settings, probes, embedded, model, clip_scores, progress)
    attribution = None
    if sources is not None:
        with timed(seconds, "sources"):
            attribution = attribute(
                sources, clip_scores, settings.protocol, probes, model, progress
            )
    head = None
    if settings.save:
        with timed(seconds, "head"):
            head = calibrate_best(settings, data_set, model, embedded, trained, test_sets)
    result = replace(
        _result(settings, data_set, model, embedded, trained),
        test_sets=scored,
        label_budgets=budgets,
        deformed=corrupted,
        attribution=attribution,
        head=head.summary if head is not None else None,
        seconds=seconds,
        folder=output,
    )
    write_result(result, clip_scores, head)
    if result.head is not None:
        progress.note(f"saved in {output}: {result.head.describe()}")
    return result


def _check_data(settings: ProbeSettings, folder: Path, data: TaskData) -> None:
    """Raise MissingDataError for splits that cannot be scored, before their clips are embedded."""
    if len(data.classes) == 1 and not settings.protocol.multilabel:
        raise MissingDataError(
            f"only one class found in {folder}, '{data.classes[0]}': add clips of another class, or"
            " set --data to the folder that holds all classes."
        )
    _checked_sets(settings, folder, data, without_windows(data))


def _checked_sets(
    settings: ProbeSettings, folder: Path, data: TaskData, clips: EmbeddedTask
) -> dict[str, BoolArray]:
    """Masks (clips,) of the test sets. Raises MissingDataError if a split cannot be scored."""
    test_sets = find_test_sets(data, clips)
    where = f"'{settings.part.name}' in {folder}"
    check_splits(clips, settings.protocol, where, data, test_sets)
    return test_sets


def _retrieve(
    settings: ProbeSettings,
    task: StemRetrieval,
    folder: Path,
    model: Model,
    output: Path,
    progress: Progress,
) -> ProbeResult:
    seconds: dict[str, float] = {}
    with timed(seconds, "retrieval"):
        result, scores = retrieve_stems(settings, task, folder, model, progress)
    _warn((), result.failures, progress)
    result = replace(result, seconds=seconds, folder=output)
    write_result(result, scores)
    return result


def _train(
    settings: ProbeSettings, embedded: EmbeddedTask, model: Model, progress: Progress
) -> Trained:
    protocol, test = settings.protocol, embedded.clips["test"]
    probes = train_probes(settings, embedded, model, progress)
    frozen = np.stack([probe.clip_scores(test) for probe in probes])
    if not protocol.finetune:
        return Trained(probes, frozen)
    tuned, scores = [], []
    best: FineTuned | None = None
    for seed in fine_tune(protocol, probes, embedded, model, progress):
        tuned.append(seed.probe)
        scores.append(seed.probe.clip_scores(seed.test))
        # Only one encoder is kept in memory.
        if settings.save and (best is None or seed.probe.rank > best.probe.rank):
            best = seed
    note = frozen_note(protocol, frozen, test.targets)
    return Trained(tuned, np.stack(scores), [note], best)


def _warn(missing: Sequence[str], failures: Sequence[tuple[str, str]], progress: Progress) -> None:
    if missing:
        progress.warn(f"skipped clips without audio: {len(missing)}, such as {missing[0]}.")
    for _, reason in failures[:MAX_WARNINGS]:
        progress.warn(f"skipped: {reason}")
    if len(failures) > MAX_WARNINGS:
        progress.warn(f"skipped {len(failures) - MAX_WARNINGS} more clips: see the report.")


def _result(
    settings: ProbeSettings,
    data_set: tuple[Path, TaskData],
    model: Model,
    embedded: EmbeddedTask,
    trained: Trained,
) -> ProbeResult:
    """The result without its scores."""
    folder, data = data_set
    overlap = overlap_note(model, data.items, settings.part.name)
    silent = [silence_note(embedded.silent)] if embedded.silent else []
    return ProbeResult(
        **settings.describe(folder, model),
        seeds=len(trained.probes),
        test_sets=(),
        counts={split: len(clips.counts) for split, clips in embedded.clips.items()},
        windows={split: len(clips.windows) for split, clips in embedded.clips.items()},
        classes=tuple(data.classes),
        best_epochs=tuple(probe.best_epoch for probe in trained.probes),
        missing=tuple(data.missing),
        failures=tuple(embedded.failures),
        shortfalls=dict(embedded.shortfalls),
        notes=(*trained.notes, *overlap, *silent, *long_clip_notes(embedded), *data.notes),
        multilabel=settings.protocol.multilabel,
        weight_decays=weight_decays(settings.protocol, trained.probes),
        valid_scores=valid_scores(settings.protocol, trained.probes),
        shared_groups=tuple(shared_groups(embedded.items)),
        data_hash=data_hash(data),
    )
