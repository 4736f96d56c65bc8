"""The test of a probe: each classifier once on every test clip, scored by test set and metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mscol_cli.contracts.task import ProbeProtocol, TaskData
from mscol_cli.errors import MissingDataError
from mscol_cli.probing.baselines import baselines
from mscol_cli.probing.bootstrap import Resampled, resample_all
from mscol_cli.probing.clips import BoolArray, FloatArray
from mscol_cli.probing.kept import ClipScores
from mscol_cli.probing.metrics import METRICS, by_class, confusion, scored_classes
from mscol_cli.probing.shallow import TrainedProbe
from mscol_cli.reports.tables import ClassScore, Score, ScoredSet
from mscol_cli.workflows.probe_clips import EmbeddedTask


def find_test_sets(data: TaskData, embedded: EmbeddedTask) -> dict[str, BoolArray]:
    """By name of a test set, which of the embedded test clips are in it."""
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
    """Refuse a split that nothing can be trained, chosen or scored on. Raises MissingDataError."""
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


def score_clips(
    protocol: ProbeProtocol,
    probes: Sequence[TrainedProbe],
    embedded: EmbeddedTask,
    members: Mapping[str, BoolArray],
    classes: Sequence[str],
) -> ClipScores:
    """Every classifier's scores of the test clips, and the metrics of drawn clips."""
    test = embedded.clips["test"]
    scores = np.stack([probe.clip_scores(test) for probe in probes])
    return keep_scores(protocol, scores, embedded, members, classes)


def keep_scores(
    protocol: ProbeProtocol,
    scores: FloatArray,
    embedded: EmbeddedTask,
    members: Mapping[str, BoolArray],
    classes: Sequence[str],
) -> ClipScores:
    """Scores (seeds, clips, classes) of the test clips, and the metrics of drawn clips."""
    targets = embedded.clips["test"].targets
    return ClipScores(
        ids=[item.id for item in embedded.items["test"]],
        classes=classes,
        scores=scores,
        targets=targets,
        members=members,
        resampled={
            (name, metric): drawn
            for name, rows in members.items()
            for metric, drawn in resample_all(
                protocol.metrics, scores[:, rows], targets[rows]
            ).items()
        },
    )


def members_among(clean: ClipScores, embedded: EmbeddedTask) -> dict[str, BoolArray]:
    """The test sets of `clean` among fewer test clips, those that can still be scored."""
    ids = {item.id for item in embedded.items["test"]}
    rows = np.array([clip in ids for clip in clean.ids], dtype=bool)
    return {
        name: members[rows]
        for name, members in clean.members.items()
        if scored_classes(clean.targets[members & rows]).any()
    }


def scored_sets(
    protocol: ProbeProtocol, kept: ClipScores, train: BoolArray | None = None
) -> list[ScoredSet]:
    """The scores on each test set, for the report.

    Args:
        protocol: With the metrics.
        kept: Scores of the test clips.
        train: (clips, classes) labels of the training clips; without them there are no baselines.
    """
    return [_scored_set(protocol, kept, name, train) for name in kept.members]


def score_of(metric: str, scores: FloatArray, targets: BoolArray, resampled: Resampled) -> Score:
    """One metric of (seeds, clips, classes), with its interval and its spread over seeds."""
    per_seed = [METRICS[metric](one, targets) for one in scores]
    low, high = resampled.interval()
    spread = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else 0.0
    return Score(float(np.mean(per_seed)), low, high, spread, tuple(per_seed))


def _scored_set(
    protocol: ProbeProtocol, kept: ClipScores, name: str, train: BoolArray | None
) -> ScoredSet:
    rows = kept.members[name]
    scores, targets = kept.scores[:, rows], kept.targets[rows]
    both = zip(kept.classes, scored_classes(targets), strict=True)
    return ScoredSet(
        name=name,
        clips=len(targets),
        metrics={
            metric: score_of(metric, scores, targets, kept.resampled[name, metric])
            for metric in protocol.metrics
        },
        unscored=tuple(label for label, scored in both if not scored),
        classes=tuple(_class_scores(kept.classes, scores, targets)),
        confusion=() if protocol.multilabel else _confusion(scores, targets),
        baselines={} if train is None else baselines(protocol.metrics, train, targets),
    )


def _class_scores(
    names: Sequence[str], scores: FloatArray, targets: BoolArray
) -> Iterator[ClassScore]:
    values = [
        np.mean([by_class(metric, one, targets) for one in scores], axis=0)
        for metric in ("roc_auc", "average_precision")
    ]
    for name, support, *both in zip(names, targets.sum(axis=0), *values, strict=True):
        area, precision = (None if np.isnan(value) else float(value) for value in both)
        yield ClassScore(name, int(support), area, precision)


def _confusion(scores: FloatArray, targets: BoolArray) -> list[list[int]]:
    summed: list[list[int]] = np.sum([confusion(one, targets) for one in scores], axis=0).tolist()
    return summed


def _check_classes(split: str, targets: BoolArray, where: str) -> None:
    if not scored_classes(targets).any():
        raise MissingDataError(
            f"the {split} split of {where} has no class with both positives and negatives, so there"
            " is no score: add clips."
        )
