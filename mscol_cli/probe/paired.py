"""Paired differences between probes on the same test clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.contracts.plans import IntArray
from mscol_cli.probe.attributed import PairedScore
from mscol_cli.probe.bootstrap import Resampled, difference, resample
from mscol_cli.probe.groups import MIN_CLIPS
from mscol_cli.probe.metrics import PAIRED, scored_classes
from mscol_cli.probe.windows import BoolArray, FloatArray


@dataclass(frozen=True)
class PairedColumn:
    """Scores of one column.

    Attributes:
        overall: Scores over all classes, by metric.
        classes: `PAIRED` score of every class, in label order; None for a class without positives
            or without negatives.
    """

    overall: Mapping[str, PairedScore]
    classes: Sequence[PairedScore | None]


def score_columns(
    scores: Mapping[str, FloatArray],
    targets: BoolArray,
    metrics: Sequence[str],
    reference: str | None,
    groups: IntArray | None = None,
) -> dict[str, PairedColumn]:
    """Score every column, and its difference from a reference column.

    Args:
        scores: Clip scores (seeds, clips, classes) by column.
        targets: (clips, classes) labels.
        metrics: Names of metrics over all classes.
        reference: Column to compare the others with; None for no comparison.
        groups: (clips,) number of the group of each clip; None if clips are independent.
    """
    known = has_enough_clips(targets, groups)
    overall = {
        name: {metric: resample(metric, column, targets, groups) for metric in metrics}
        for name, column in scores.items()
    }
    classes = {name: _by_class(column, targets, groups) for name, column in scores.items()}
    columns = {}
    for name in scores:
        other = reference if name != reference else None
        columns[name] = PairedColumn(
            {
                metric: _paired(score, overall[other][metric] if other else None)
                for metric, score in overall[name].items()
            },
            [
                None
                if score is None
                else _paired(score, classes[other][label] if other else None, known[label])
                for label, score in enumerate(classes[name])
            ],
        )
    return columns


def has_enough_clips(targets: BoolArray, groups: IntArray | None) -> list[bool]:
    """Whether each class has `MIN_CLIPS`, so that an interval includes its error."""
    return [
        min(_count(groups, of_class), _count(groups, ~of_class)) >= MIN_CLIPS
        for of_class in targets.T
    ]


def _count(groups: IntArray | None, rows: BoolArray) -> int:
    return int(rows.sum()) if groups is None else len(np.unique(groups[rows]))


def _by_class(
    scores: FloatArray, targets: BoolArray, groups: IntArray | None
) -> list[Resampled | None]:
    return [
        resample(PAIRED.name, scores[:, :, [label]], targets[:, [label]], groups)
        if scored
        else None
        for label, scored in enumerate(scored_classes(targets).tolist())
    ]


def _paired(
    score: Resampled, reference: Resampled | None, has_interval: bool = True
) -> PairedScore:
    low, high = score.interval() if has_interval else (None, None)
    if reference is None:
        return PairedScore(score.value, low, high)
    paired = difference(score, reference)
    if not has_interval:
        return PairedScore(score.value, low, high, paired.value)
    return PairedScore(score.value, low, high, paired.value, paired.low, paired.high)
