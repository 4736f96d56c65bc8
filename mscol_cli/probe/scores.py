"""Scores of probes with their intervals, and the scores of each clip in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mscol_cli.contracts.task import ProbeProtocol, TaskData
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.probe.baselines import baselines
from mscol_cli.probe.bootstrap import Resampled, resample, resample_all
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.clips import EmbeddedTask
from mscol_cli.probe.metrics import METRICS, class_metrics, confusion, scored_classes
from mscol_cli.probe.result import ClassScore, Score, ScoredSet
from mscol_cli.probe.windows import BoolArray, FloatArray
from mscol_cli.system.files import write_atomically

LAYOUT = "mscol-clip-scores 1"


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
    if METRICS[protocol.select].macro:
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
    per_seed = [METRICS[metric].score(one, targets) for one in scores]
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
        classes=tuple(_class_scores(protocol, kept.classes, scores, targets)),
        confusion=() if protocol.multilabel else _confusion(scores, targets),
        baselines={} if train is None else baselines(protocol.metrics, train, targets),
    )


def _class_scores(
    protocol: ProbeProtocol, names: Sequence[str], scores: FloatArray, targets: BoolArray
) -> Iterator[ClassScore]:
    values = {
        name: np.mean([metric(one, targets) for one in scores], axis=0)
        for name, metric in class_metrics(protocol.multilabel).items()
    }
    for row, (name, support) in enumerate(zip(names, targets.sum(axis=0), strict=True)):
        found = {metric: float(by_class[row]) for metric, by_class in values.items()}
        known = {metric: None if np.isnan(one) else one for metric, one in found.items()}
        yield ClassScore(name, int(support), known)


def _confusion(scores: FloatArray, targets: BoolArray) -> list[list[int]]:
    summed: list[list[int]] = np.sum([confusion(one, targets) for one in scores], axis=0).tolist()
    return summed


def _check_classes(split: str, targets: BoolArray, where: str) -> None:
    if not scored_classes(targets).any():
        raise MissingDataError(
            f"the {split} split of {where} has no class with both positives and negatives, so there"
            " is no score: add clips."
        )


@dataclass(frozen=True)
class ClipScores:
    """What the classifiers of a probe said of its test clips.

    Attributes:
        ids: Of the test clips.
        classes: Names, in label order.
        scores: (seeds, clips, classes).
        targets: (clips, classes).
        members: By test set, (clips,) which clips are in it.
        resampled: By test set and metric, the score on drawn clips.
    """

    ids: Sequence[str]
    classes: Sequence[str]
    scores: FloatArray
    targets: BoolArray
    members: Mapping[str, BoolArray]
    resampled: Mapping[tuple[str, str], Resampled]

    def rows_of(self, test_set: str) -> dict[str, int]:
        """The rows of a test set's clips, by id."""
        return {self.ids[row]: row for row in np.flatnonzero(self.members[test_set]).tolist()}


def write_scores(path: Path, kept: ClipScores) -> None:
    """Write scores, whole or not at all. Raises OSError."""
    keys = list(kept.resampled)
    tensors = {
        "scores": torch.from_numpy(np.ascontiguousarray(kept.scores)),
        "targets": torch.from_numpy(kept.targets.astype(np.uint8)),
        "members": torch.from_numpy(np.stack(list(kept.members.values())).astype(np.uint8)),
        "draws": torch.from_numpy(np.stack([kept.resampled[key].draws for key in keys])),
        "values": torch.tensor([kept.resampled[key].value for key in keys], dtype=torch.float64),
    }
    names = {"ids": list(kept.ids), "classes": list(kept.classes), "sets": list(kept.members)}
    metadata = {"layout": LAYOUT, "names": json.dumps({**names, "resampled": keys})}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def read_scores(path: Path) -> ClipScores:
    """Read what `write_scores` wrote.

    Raises:
        MissingDataError: It is not there.
        UsageError: It is damaged.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} is not there: run the probe again to compare its result.")
    try:
        return _read(path)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{path} is damaged ({error}): run the probe again.") from error


def resampled_pair(
    first: ClipScores, second: ClipScores, test_set: str, metric: str
) -> tuple[Resampled, Resampled, int]:
    """Two models' scores on the same drawn clips, and on how many clips.

    Clips that only one model could be tested on are left out of both.

    Raises:
        UsageError: The two were tested on other classes, labels, or no common clips.
    """
    ours, theirs = first.rows_of(test_set), second.rows_of(test_set)
    common = [clip for clip in ours if clip in theirs]
    rows = [ours[clip] for clip in common]
    other_rows = [theirs[clip] for clip in common]
    targets = first.targets[rows]
    if not common or list(first.classes) != list(second.classes):
        raise UsageError("they were tested on other classes or clips: probe both on one data set.")
    if not np.array_equal(targets, second.targets[other_rows]):
        raise UsageError("their test clips have other labels: probe both on one data set.")
    if not scored_classes(targets).any():
        raise UsageError("their common test clips are all alike: no class can be scored.")
    kept = first.resampled[test_set, metric], second.resampled[test_set, metric]
    if list(ours) == list(theirs) and len(kept[0].draws) == len(kept[1].draws):
        return *kept, len(common)
    again = (
        resample(metric, one.scores[:, own], targets)
        for one, own in ((first, rows), (second, other_rows))
    )
    return next(again), next(again), len(common)


def _read(path: Path) -> ClipScores:
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key).numpy() for key in file.keys()}  # noqa: SIM118
        names = json.loads((file.metadata() or {})["names"])
    scores, targets, members = tensors["scores"], tensors["targets"], tensors["members"]
    if scores.shape[1:] != targets.shape or members.shape[1] != len(names["ids"]):
        raise ValueError("its parts do not fit")
    drawn = zip(tensors["values"].tolist(), tensors["draws"], strict=True)
    return ClipScores(
        ids=names["ids"],
        classes=names["classes"],
        scores=scores,
        targets=targets.astype(bool),
        members=dict(zip(names["sets"], members.astype(bool), strict=True)),
        resampled={
            (test_set, metric): Resampled(value, draws)
            for (test_set, metric), (value, draws) in zip(names["resampled"], drawn, strict=True)
        },
    )
