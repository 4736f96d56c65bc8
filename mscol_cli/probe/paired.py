"""Paired differences between probes on the same test clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.probe.bootstrap import Resampled, difference, resample
from mscol_cli.probe.metrics import scored_classes
from mscol_cli.probe.windows import BoolArray, FloatArray

CLASS_METRIC = "roc_auc"
FEWEST = 10
"""Clips of a class, and not of it, from which on an interval is worth its name."""
LOWER, HIGHER = "\N{DOWNWARDS ARROW}", "\N{UPWARDS ARROW}"


@dataclass(frozen=True)
class PairedColumn:
    """Scores of one column.

    Attributes:
        overall: By name of the metric, over all classes.
        classes: `CLASS_METRIC` of every class, in label order; None for one without positives or
            without negatives.
    """

    overall: Mapping[str, PairedScore]
    classes: Sequence[PairedScore | None]


@dataclass(frozen=True)
class PairedScore:
    """A score, and how far it is from a reference.

    Attributes:
        value: Mean over seeds.
        low: Lower bound of its 95 % bootstrap interval over test clips; None where too few clips
            are of the class, or are not, to draw them anew.
        high: Its upper bound.
        difference: The score minus the reference, on the same clips; None for the reference.
        difference_low: Lower bound of the 95 % interval of the difference, on the same drawn clips.
        difference_high: Its upper bound.
    """

    value: float
    low: float | None
    high: float | None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None

    @property
    def arrow(self) -> str:
        """Where the interval of the difference leaves out 0, which way; else nothing."""
        if self.difference_high is not None and self.difference_high < 0:
            return LOWER
        if self.difference_low is not None and self.difference_low > 0:
            return HIGHER
        return ""

    @property
    def is_compared(self) -> bool:
        """Whether the difference has an interval."""
        return self.difference_low is not None


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
        resample(CLASS_METRIC, scores[:, :, [label]], targets[:, [label]]) if scored else None
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
