"""Scoring of test clips: metrics with intervals, overall and per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mscol_cli.contracts.task import ProbeProtocol, TaskData
from mscol_cli.errors import MissingDataError
from mscol_cli.probe.baselines import baselines
from mscol_cli.probe.bootstrap import Resampled, resample_all
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.clips import EmbeddedTask
from mscol_cli.probe.groups import groups_of
from mscol_cli.probe.metrics import METRICS, class_metrics, confusion, scored_classes
from mscol_cli.probe.result import ClassScore, Score, ScoredSet
from mscol_cli.probe.scores import ClipScores
from mscol_cli.probe.windows import BoolArray, FloatArray


def find_test_sets(data: TaskData, embedded: EmbeddedTask) -> dict[str, BoolArray]:
    """Masks (clips,) over the embedded test clips, by test set."""
    ids = [item.id for item in embedded.items["test"]]
    sets = data.test_sets or {"test": frozenset(ids)}
    return {
        name: np.array([clip in members for clip in ids], dtype=bool)
        for name, members in sets.items()
    }


def check_splits(
    embedded: EmbeddedTask,
    protocol: ProbeProtocol,
    where: str,
    data: TaskData,
    test_sets: Mapping[str, BoolArray],
) -> None:
    """Raise MissingDataError if a split has no usable clip, or cannot be scored."""
    for split, clips in embedded.clips.items():
        if len(clips.counts) == 0:
            listed = sum(item.split == split for item in data.items)
            raise MissingDataError(
                f"the {split} split of {where} has no usable clip ({listed} with audio): add clips,"
                " or change the split."
            )
    if METRICS[protocol.select].macro:
        _check_classes("valid", embedded.clips["valid"].targets, where)
    for name, rows in test_sets.items():
        if not rows.any():
            raise MissingDataError(
                f"the test set '{name}' of {where} has no usable clip: add clips, or remove it from"
                " test_sets of the task."
            )
        _check_classes(name, embedded.clips["test"].targets[rows], where)


def score_clips(
    protocol: ProbeProtocol,
    probes: Sequence[TrainedProbe],
    embedded: EmbeddedTask,
    members: Mapping[str, BoolArray],
    classes: Sequence[str],
) -> ClipScores:
    """Score the test clips with every classifier, and resample the metrics."""
    test = embedded.clips["test"]
    scores = np.stack([probe.clip_scores(test) for probe in probes])
    return resample_scores(protocol, scores, embedded, members, classes)


def resample_scores(
    protocol: ProbeProtocol,
    scores: FloatArray,
    embedded: EmbeddedTask,
    members: Mapping[str, BoolArray],
    classes: Sequence[str],
) -> ClipScores:
    """Resample the metrics of test clips.

    Args:
        protocol: Protocol with the metrics.
        scores: (seeds, clips, classes) scores of the test clips.
        embedded: Task with the test clips.
        members: Masks (clips,) by test set.
        classes: Names of the classes, in label order.
    """
    items, targets = embedded.items["test"], embedded.clips["test"].targets
    groups = groups_of(items)
    return ClipScores(
        ids=[item.id for item in items],
        classes=classes,
        scores=scores,
        targets=targets,
        members=members,
        resampled={
            (name, metric): drawn
            for name, rows in members.items()
            for metric, drawn in resample_all(
                protocol.metrics,
                scores[:, rows],
                targets[rows],
                groups.numbers(np.flatnonzero(rows).tolist()),
            ).items()
        },
        groups=groups,
    )


def members_among(clean: ClipScores, embedded: EmbeddedTask) -> dict[str, BoolArray]:
    """Masks over the remaining test clips, for the test sets of `clean` that can be scored."""
    ids = {item.id for item in embedded.items["test"]}
    rows = np.array([clip in ids for clip in clean.ids], dtype=bool)
    return {
        name: members[rows]
        for name, members in clean.members.items()
        if scored_classes(clean.targets[members & rows]).any()
    }


def scored_sets(
    protocol: ProbeProtocol, clip_scores: ClipScores, train: BoolArray | None = None
) -> list[ScoredSet]:
    """Compute the scores on each test set.

    Args:
        protocol: Protocol with the metrics.
        clip_scores: Scores of the test clips.
        train: (clips, classes) labels of the training clips; None for no baselines.
    """
    return [_scored_set(protocol, clip_scores, name, train) for name in clip_scores.members]


def score_of(metric: str, scores: FloatArray, targets: BoolArray, resampled: Resampled) -> Score:
    """Compute a metric with its interval and spread over seeds.

    Args:
        metric: Name of the metric.
        scores: (seeds, clips, classes) clip scores.
        targets: (clips, classes) labels.
        resampled: The same metric on resamples.
    """
    per_seed = [METRICS[metric].score(of_seed, targets) for of_seed in scores]
    low, high = resampled.interval()
    spread = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else 0.0
    return Score(float(np.mean(per_seed)), low, high, spread, tuple(per_seed))


def _scored_set(
    protocol: ProbeProtocol, clip_scores: ClipScores, name: str, train: BoolArray | None
) -> ScoredSet:
    rows = clip_scores.members[name]
    scores, targets = clip_scores.scores[:, rows], clip_scores.targets[rows]
    both = zip(clip_scores.classes, scored_classes(targets), strict=True)
    return ScoredSet(
        name=name,
        clips=len(targets),
        metrics={
            metric: score_of(metric, scores, targets, clip_scores.resampled[name, metric])
            for metric in protocol.metrics
        },
        unscored=tuple(label for label, scored in both if not scored),
        classes=tuple(_class_scores(protocol, clip_scores.classes, scores, targets)),
        confusion=() if protocol.multilabel else confusion(scores, targets),
        baselines={} if train is None else baselines(protocol.metrics, train, targets),
        grouped_by=clip_scores.groups.kind,
        groups=clip_scores.groups.count(np.flatnonzero(rows).tolist()),
    )


def _class_scores(
    protocol: ProbeProtocol, names: Sequence[str], scores: FloatArray, targets: BoolArray
) -> Iterator[ClassScore]:
    values = {
        name: np.mean([metric(of_seed, targets) for of_seed in scores], axis=0)
        for name, metric in class_metrics(protocol.multilabel).items()
    }
    for row, (name, support) in enumerate(zip(names, targets.sum(axis=0), strict=True)):
        of_class = {metric: float(by_class[row]) for metric, by_class in values.items()}
        known = {metric: None if np.isnan(value) else value for metric, value in of_class.items()}
        yield ClassScore(name, int(support), known)


def _check_classes(split: str, targets: BoolArray, where: str) -> None:
    if not scored_classes(targets).any():
        raise MissingDataError(
            f"the {split} split of {where} has no class with both positives and negatives, so it"
            " cannot be scored: add clips."
        )
