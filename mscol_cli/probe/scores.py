"""Scores of probes with intervals, and the file of clip scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from mscol_cli.contracts.plans import IntArray
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
from mscol_cli.system.json_files import INVALID
from mscol_cli.system.tensors import save_tensors

LAYOUT = "mscol-clip-scores 1"


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


@dataclass(frozen=True)
class ClipScores:
    """Scores of the test clips of a probe.

    Attributes:
        ids: Ids of the test clips.
        classes: Names of the classes, in label order.
        scores: (seeds, clips, classes) scores.
        targets: (clips, classes) labels.
        members: Masks (clips,) by test set.
        resampled: Resampled metrics, by test set and metric.
        groups: Group of each test clip, such as the track of a query; empty if clips are
            independent.
    """

    ids: Sequence[str]
    classes: Sequence[str]
    scores: FloatArray
    targets: BoolArray
    members: Mapping[str, BoolArray]
    resampled: Mapping[tuple[str, str], Resampled]
    groups: Sequence[str] = ()

    def rows_of(self, test_set: str) -> dict[str, int]:
        """Rows of the clips of a test set, by id."""
        return {self.ids[row]: row for row in np.flatnonzero(self.members[test_set]).tolist()}

    def group_numbers(self, rows: Sequence[int]) -> IntArray | None:
        """(rows,) numbers of the groups of some clips; None if clips are independent."""
        if not self.groups:
            return None
        return np.unique([self.groups[row] for row in rows], return_inverse=True)[1]


def write_scores(path: Path, clip_scores: ClipScores) -> None:
    """Write scores atomically. Raises OSError."""
    keys = list(clip_scores.resampled)
    tensors = {
        "scores": torch.from_numpy(np.ascontiguousarray(clip_scores.scores)),
        "targets": torch.from_numpy(clip_scores.targets.astype(np.uint8)),
        "members": torch.from_numpy(np.stack(list(clip_scores.members.values())).astype(np.uint8)),
        "draws": torch.from_numpy(np.stack([clip_scores.resampled[key].draws for key in keys])),
        "values": torch.tensor(
            [clip_scores.resampled[key].value for key in keys], dtype=torch.float64
        ),
    }
    names = {
        "ids": list(clip_scores.ids),
        "classes": list(clip_scores.classes),
        "sets": list(clip_scores.members),
        "groups": list(clip_scores.groups),
    }
    metadata = {"layout": LAYOUT, "names": json.dumps({**names, "resampled": keys})}
    write_atomically(path, lambda temporary: save_tensors(temporary, tensors, metadata))


def read_scores(path: Path) -> ClipScores:
    """Read the file of `write_scores`.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: The file is damaged.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist: run the probe again to compare its result.")
    try:
        return _read(path)
    except (OSError, SafetensorError, *INVALID) as error:
        raise UsageError(f"{path} is damaged ({error}): run the probe again.") from error


def resampled_pair(
    first: ClipScores, second: ClipScores, test_set: str, metric: str
) -> tuple[Resampled, Resampled, int]:
    """Resample a metric of two models on the same clips; returns both and the number of clips.

    Clips that only one of the models was tested on are left out.

    Raises:
        UsageError: The models were tested on different classes or labels, or share no clips.
    """
    first_rows, second_rows = first.rows_of(test_set), second.rows_of(test_set)
    common = [clip for clip in first_rows if clip in second_rows]
    rows = [first_rows[clip] for clip in common]
    other_rows = [second_rows[clip] for clip in common]
    targets = first.targets[rows]
    if not common or list(first.classes) != list(second.classes):
        raise UsageError("they were tested on other classes or clips: probe both on one data set.")
    if not np.array_equal(targets, second.targets[other_rows]):
        raise UsageError("their test clips have other labels: probe both on one data set.")
    if not METRICS[metric].retrieval and not scored_classes(targets).any():
        raise UsageError("their common test clips have no class with positives and negatives.")
    stored = first.resampled[test_set, metric], second.resampled[test_set, metric]
    if list(first_rows) == list(second_rows) and len(stored[0].draws) == len(stored[1].draws):
        return *stored, len(common)
    groups = first.group_numbers(rows)
    return (
        resample(metric, first.scores[:, rows], targets, groups),
        resample(metric, second.scores[:, other_rows], targets, groups),
        len(common),
    )


def _read(path: Path) -> ClipScores:
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key).numpy() for key in file.keys()}  # noqa: SIM118
        names = json.loads((file.metadata() or {})["names"])
    scores, targets, members = tensors["scores"], tensors["targets"], tensors["members"]
    if scores.shape[1:] != targets.shape or members.shape[1] != len(names["ids"]):
        raise ValueError("the shapes of its arrays do not match")
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
        groups=names.get("groups", ()),
    )
