"""Metrics over clips, by scikit-learn, and the same for many weighted resamples at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from mscol_cli.errors import UsageError
from mscol_cli.probe.windows import BoolArray, FloatArray

if TYPE_CHECKING:
    from mscol_cli.contracts.task import ProbeProtocol

Metric = Callable[[FloatArray, BoolArray], float]
Weights = NDArray[np.float32]
WeightedMetric = Callable[[FloatArray, BoolArray, Weights], FloatArray]


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


def weighted_accuracy(scores: FloatArray, targets: BoolArray, weights: Weights) -> FloatArray:
    """Share of the weight that lies on clips classified rightly."""
    hits = scores.argmax(axis=1) == targets.argmax(axis=1)
    share: FloatArray = _sum(weights[hits]) / _sum(weights)
    return share


def weighted_macro_f1(scores: FloatArray, targets: BoolArray, weights: Weights) -> FloatArray:
    """Mean F1 over the classes a resample has clips of."""
    guess = scores.argmax(axis=1)
    labels = np.flatnonzero(scored_classes(targets))
    by_class = [_f1(guess == label, targets[:, label], weights) for label in labels.tolist()]
    return _mean_over_classes(by_class)


def weighted_roc_auc(scores: FloatArray, targets: BoolArray, weights: Weights) -> FloatArray:
    """Mean ROC-AUC over the classes a resample has positives and negatives of."""
    return _ranked(["roc_auc"], scores, targets, weights)["roc_auc"]


def weighted_average_precision(
    scores: FloatArray, targets: BoolArray, weights: Weights
) -> FloatArray:
    """Mean average precision over the classes a resample has positives and negatives of."""
    return _ranked(["average_precision"], scores, targets, weights)["average_precision"]


def together(
    metrics: Sequence[str], scores: FloatArray, targets: BoolArray, weights: Weights
) -> dict[str, FloatArray]:
    """Several metrics by name, clips ranked once for all that need it."""
    ranked = [metric for metric in metrics if metric in RANKED]
    found = _ranked(ranked, scores, targets, weights) if ranked else {}
    return {
        metric: found[metric] if metric in found else WEIGHTED[metric](scores, targets, weights)
        for metric in metrics
    }


WEIGHTED: dict[str, WeightedMetric] = {
    "accuracy": weighted_accuracy,
    "macro_f1": weighted_macro_f1,
    "roc_auc": weighted_roc_auc,
    "average_precision": weighted_average_precision,
}

RANKED = ("roc_auc", "average_precision")


class _Ranking:
    """Clips of one class in falling order of score, summed over stretches that matter.

    Only the clips that share a score with a positive need a place of their own in the ranking;
    all between two of these are added up in one step. Rows below are such stretches.
    """

    def __init__(self, scores: FloatArray, positive: BoolArray, weights: Weights) -> None:
        order = np.argsort(-scores, kind="stable")
        starts = _stretches(scores[order], positive[order])
        places = np.flatnonzero(positive[order])
        self.rows, first = np.unique(
            np.searchsorted(starts, places, side="right") - 1, return_index=True
        )
        everything = np.add.reduceat(weights[order], starts, axis=0)
        self.positives = np.add.reduceat(weights[order[places]], first, axis=0)
        self.positive_total = _sum(self.positives)
        self.total = _sum(everything)
        # Sums of whole numbers: exact in float32 up to 16 million clips.
        self.ranked = np.cumsum(everything, axis=0)[self.rows]
        self.negatives = everything[self.rows] - self.positives

    def average_precision(self) -> FloatArray:
        """Precision at each threshold, weighted by the recall gained there."""
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.cumsum(self.positives, axis=0) / self.ranked
            gained = np.where(self.positives > 0, self.positives * precision, 0.0)
            return self._defined(_sum(gained) / self.positive_total)

    def roc_auc(self) -> FloatArray:
        """Share of pairs (positive, negative) in the right order, ties counting a half."""
        negative_total = self.total - self.positive_total
        ranked_negatives = self.ranked - np.cumsum(self.positives, axis=0)
        below = negative_total - ranked_negatives + 0.5 * self.negatives
        with np.errstate(invalid="ignore", divide="ignore"):
            pairs = self.positive_total * negative_total
            return self._defined(_sum(self.positives * below) / pairs)

    def _defined(self, values: FloatArray) -> FloatArray:
        both = (self.positive_total > 0) & (self.positive_total < self.total)
        return np.where(both, values, np.nan)


def _ranked(
    metrics: Sequence[str], scores: FloatArray, targets: BoolArray, weights: Weights
) -> dict[str, FloatArray]:
    by_class: dict[str, list[FloatArray]] = {metric: [] for metric in metrics}
    for label in np.flatnonzero(scored_classes(targets)).tolist():
        ranking = _Ranking(scores[:, label], targets[:, label], weights)
        for metric, values in by_class.items():
            one = ranking.roc_auc() if metric == "roc_auc" else ranking.average_precision()
            values.append(one)
    return {metric: _mean_over_classes(values) for metric, values in by_class.items()}


def _stretches(scores: FloatArray, positive: BoolArray) -> NDArray[np.intp]:
    """First places of the stretches: ties that hold a positive, and what lies between them."""
    first = np.append(True, scores[1:] != scores[:-1])
    tie = np.cumsum(first) - 1
    holds_positive = np.zeros(tie[-1] + 1, dtype=bool)
    holds_positive[tie[positive]] = True
    follows_positive = np.append(True, holds_positive[:-1])
    return np.flatnonzero(first & (holds_positive | follows_positive)[tie])


def _f1(guess: BoolArray, truth: BoolArray, weights: Weights) -> FloatArray:
    guessed, true, hit = (_sum(weights[rows]) for rows in (guess, truth, guess & truth))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(true > 0, 2 * hit / (guessed + true), np.nan)


def _sum(rows: NDArray[Any]) -> FloatArray:
    return np.asarray(rows.sum(axis=0, dtype=np.float64))


def _mean_over_classes(by_class: list[FloatArray]) -> FloatArray:
    with warnings.catch_warnings():
        # A resample without any class that can be scored is not a number, and is left out later.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(np.stack(by_class), axis=0), dtype=np.float64)
