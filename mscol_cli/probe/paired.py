"""Paired differences between probes on the same test clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.probe.bootstrap import Resampled, difference, resample
from mscol_cli.probe.metrics import PAIRED, scored_classes
from mscol_cli.probe.result import PairedScore
from mscol_cli.probe.windows import BoolArray, FloatArray

FEWEST = 10
"""Clips of a class, and not of it, from which on an interval is worth its name."""


@dataclass(frozen=True)
class PairedColumn:
    """Scores of one column.

    Attributes:
        overall: By name of the metric, over all classes.
        classes: `PAIRED` of every class, in label order; None for one without positives or without
            negatives.
    """

    overall: Mapping[str, PairedScore]
    classes: Sequence[PairedScore | None]


def score_columns(
    scores: Mapping[str, FloatArray],
    targets: BoolArray,
    metrics: Sequence[str],
    reference: str | None,
) -> dict[str, PairedColumn]:
    """Score every column, and its difference from one of them.

    Args:
        scores: By column, (seeds, clips, classes).
        targets: (clips, classes).
        metrics: What to score over all classes.
        reference: The column that the others are compared with; None compares nothing.
    """
    positives = targets.sum(axis=0)
    known = (np.minimum(positives, len(targets) - positives) >= FEWEST).tolist()
    overall = {
        name: {metric: resample(metric, one, targets) for metric in metrics}
        for name, one in scores.items()
    }
    classes = {name: _by_class(one, targets) for name, one in scores.items()}
    found = {}
    for name in scores:
        other = reference if name != reference else None
        found[name] = PairedColumn(
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
    return found


def _by_class(scores: FloatArray, targets: BoolArray) -> list[Resampled | None]:
    return [
        resample(PAIRED.name, scores[:, :, [label]], targets[:, [label]]) if scored else None
        for label, scored in enumerate(scored_classes(targets).tolist())
    ]


def _paired(
    score: Resampled, reference: Resampled | None, has_interval: bool = True
) -> PairedScore:
    low, high = score.interval() if has_interval else (None, None)
    if reference is None:
        return PairedScore(score.value, low, high)
    found = difference(score, reference)
    if not has_interval:
        return PairedScore(score.value, low, high, found.value)
    return PairedScore(score.value, low, high, found.value, found.low, found.high)
