"""Scores of a set of clips, by scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from mscol_cli.errors import UsageError
from mscol_cli.probing.clips import BoolArray, FloatArray

if TYPE_CHECKING:
    from mscol_cli.contracts.task import ProbeProtocol

Metric = Callable[[FloatArray, BoolArray], float]


def scored_classes(targets: BoolArray) -> BoolArray:
    """(classes,) whether a class has both positives and negatives among (clips, classes).

    Macro averages run over these classes; the others have no ROC-AUC, so they are left out of
    every macro average and must be named beside it.
    """
    return np.asarray(targets.any(axis=0) & ~targets.all(axis=0))


def accuracy(scores: FloatArray, targets: BoolArray) -> float:
    """Share of clips whose highest score is at their label; (clips, classes) both."""
    return float(accuracy_score(targets.argmax(axis=1), scores.argmax(axis=1)))


def macro_f1(scores: FloatArray, targets: BoolArray) -> float:
    """Mean over the scored classes of F1, of the class with the highest score."""
    classes = np.flatnonzero(scored_classes(targets))
    if len(classes) == 0:
        return float("nan")
    truth, guess = targets.argmax(axis=1), scores.argmax(axis=1)
    return float(f1_score(truth, guess, labels=classes, average="macro", zero_division=0.0))


def roc_auc(scores: FloatArray, targets: BoolArray) -> float:
    """Mean over the scored classes of the area under the ROC curve."""
    return _macro(roc_auc_score, scores, targets)


def average_precision(scores: FloatArray, targets: BoolArray) -> float:
    """Mean over the scored classes of average precision (PR-AUC in the tagging literature)."""
    return _macro(average_precision_score, scores, targets)


def binary_accuracy(scores: FloatArray, targets: BoolArray) -> float:
    """Share of right answers over clips and classes, at a threshold of 0.5: the published choice
    of the MagnaTagATune classifier, nearly blind where tags are rare."""
    return float(((scores > 0.5) == targets).mean())


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "binary_accuracy": binary_accuracy,
}
RANKING: dict[str, Callable[..., float]] = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
}
FOR_MULTILABEL = ("roc_auc", "average_precision")
FOR_SELECTION = ("binary_accuracy",)


def check_metrics(protocol: ProbeProtocol, task: str) -> None:
    """Refuse a protocol whose metrics are unknown or make no sense. Raises UsageError."""
    single = tuple(name for name in METRICS if name not in FOR_SELECTION)
    known = FOR_MULTILABEL if protocol.multilabel else single
    selecting = (*known, *(FOR_SELECTION if protocol.multilabel else ()))
    for name, allowed in (
        (protocol.select, selecting),
        *((one, known) for one in protocol.metrics),
    ):
        if name not in allowed:
            raise UsageError(
                f"task '{task}' asks for metric '{name}': it can have {', '.join(allowed)}."
            )


def by_class(metric: str, scores: FloatArray, targets: BoolArray) -> FloatArray:
    """(classes,) `roc_auc` or `average_precision` of each; not a number for one that has none."""
    return _by_class(RANKING[metric], scores, targets)


def confusion(scores: FloatArray, targets: BoolArray) -> NDArray[np.int64]:
    """(classes, classes) clips by their class, in rows, and the class with the highest score."""
    classes = targets.shape[1]
    pairs = targets.argmax(axis=1) * classes + scores.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _by_class(metric: Callable[..., float], scores: FloatArray, targets: BoolArray) -> FloatArray:
    values = np.full(targets.shape[1], np.nan)
    for label in np.flatnonzero(scored_classes(targets)).tolist():
        values[label] = metric(targets[:, label], scores[:, label])
    return values


def _macro(metric: Callable[..., float], scores: FloatArray, targets: BoolArray) -> float:
    values = _by_class(metric, scores, targets)[scored_classes(targets)]
    return float(np.mean(values)) if len(values) else float("nan")
