"""The metrics of probes: one table, which every score, report and check asks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from mscol_cli.errors import UsageError
from mscol_cli.probe.ranking import Ranking, sum_rows
from mscol_cli.probe.windows import BoolArray, FloatArray, Weights

if TYPE_CHECKING:
    from mscol_cli.contracts.task import ProbeProtocol

ClassMetric = Callable[[FloatArray, BoolArray], FloatArray]


@dataclass(frozen=True)
class Metric:
    """A metric of scores and targets, (clips, classes) both.

    A metric without a form for resamples has no interval: it can select, but is not reported.

    Attributes:
        name: What protocols and probe.json call it.
        title: What tables call it, of one class where it is a mean over classes.
        score: The metric, from 0 to 1; NaN where no class can be scored.
        weighted: (resamples,) the metric of each resample.
        ranked: Instead of that, (resamples,) the metric of one class, from its ranking.
        by_class: (classes,) the score of each, NaN for one that has none; None for a metric that
            classes have no scores of.
        guessed: The score of guessing every class equally often, by the targets; None where that
            is the score of giving every clip the same answer.
        macro: Whether it is a mean over the scored classes.
        single_label: Whether it makes sense where a clip has one label.
        multilabel: Whether it makes sense where a clip has many.
        higher_is_better: Whether the higher of two values is the better one.
    """

    name: str
    title: str
    score: Callable[[FloatArray, BoolArray], float]
    weighted: Callable[[FloatArray, BoolArray, Weights], FloatArray] | None = None
    ranked: Callable[[Ranking], FloatArray] | None = None
    by_class: ClassMetric | None = None
    guessed: Callable[[BoolArray], float] | None = None
    macro: bool = False
    single_label: bool = True
    multilabel: bool = False
    higher_is_better: bool = True

    @property
    def label(self) -> str:
        """What tables call it over all classes."""
        return f"macro {self.title}" if self.macro else self.title

    @property
    def is_reported(self) -> bool:
        """Whether it has an interval, and so can be reported."""
        return self.weighted is not None or self.ranked is not None

    def suits(self, multilabel: bool) -> bool:
        """Whether it makes sense for tasks of that kind."""
        return self.multilabel if multilabel else self.single_label

    def rank(self, value: float) -> float:
        """A number that is larger the better the value is."""
        return value if self.higher_is_better else -value


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
    return _macro(class_roc_auc, scores, targets)


def average_precision(scores: FloatArray, targets: BoolArray) -> float:
    """Mean over the scored classes of average precision (PR-AUC in the tagging literature)."""
    return _macro(class_average_precision, scores, targets)


def binary_accuracy(scores: FloatArray, targets: BoolArray) -> float:
    """Share of right answers over clips and classes, at a threshold of 0.5: the published choice
    of the MagnaTagATune classifier, nearly blind where tags are rare."""
    return float(((scores > 0.5) == targets).mean())


def class_roc_auc(scores: FloatArray, targets: BoolArray) -> FloatArray:
    """(classes,) the area under the ROC curve of each class against all others."""
    return _each_class(roc_auc_score, scores, targets)


def class_average_precision(scores: FloatArray, targets: BoolArray) -> FloatArray:
    """(classes,) the average precision of each class against all others."""
    return _each_class(average_precision_score, scores, targets)


def weighted_accuracy(scores: FloatArray, targets: BoolArray, weights: Weights) -> FloatArray:
    """(resamples,) share of the weight that lies on clips classified rightly."""
    hits = scores.argmax(axis=1) == targets.argmax(axis=1)
    share: FloatArray = sum_rows(weights[hits]) / sum_rows(weights)
    return share


def weighted_macro_f1(scores: FloatArray, targets: BoolArray, weights: Weights) -> FloatArray:
    """(resamples,) mean F1 over the classes a resample has clips of."""
    guess = scores.argmax(axis=1)
    labels = np.flatnonzero(scored_classes(targets))
    by_class = [_f1(guess == label, targets[:, label], weights) for label in labels.tolist()]
    return _mean_over_classes(by_class)


def guessed_accuracy(targets: BoolArray) -> float:
    """The accuracy of guessing every class equally often."""
    return 1 / float(targets.shape[1])


def guessed_macro_f1(targets: BoolArray) -> float:
    """The macro F1 of guessing every class equally often."""
    share = guessed_accuracy(targets)
    prevalence = targets.mean(axis=0)[scored_classes(targets)]
    # Precision of a guess is the prevalence, its recall the share of guesses.
    f1 = 2 * prevalence * share / (prevalence + share)
    return float(f1.mean()) if len(f1) else float("nan")


_ALL = (
    Metric("accuracy", "accuracy", accuracy, weighted_accuracy, guessed=guessed_accuracy),
    Metric("macro_f1", "F1", macro_f1, weighted_macro_f1, guessed=guessed_macro_f1, macro=True),
    Metric(
        "roc_auc",
        "ROC-AUC",
        roc_auc,
        ranked=Ranking.roc_auc,
        by_class=class_roc_auc,
        macro=True,
        multilabel=True,
    ),
    Metric(
        "average_precision",
        "average precision",
        average_precision,
        ranked=Ranking.average_precision,
        by_class=class_average_precision,
        macro=True,
        multilabel=True,
    ),
    Metric(
        "binary_accuracy", "binary accuracy", binary_accuracy, single_label=False, multilabel=True
    ),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
PAIRED = METRICS["roc_auc"]
"""Of every class where results are compared class by class: chance is 0.5 for any prevalence."""
CLASS_ORDER = METRICS["average_precision"]
"""Tables of classes are in its order, the best first."""


def find_metric(name: str) -> Metric:
    """A metric by its name; one that only another mscol knows can be shown, but not computed."""
    return METRICS.get(name) or Metric(name, name.replace("_", " "), _unknown)


def class_metrics(multilabel: bool) -> dict[str, ClassMetric]:
    """By name, the metrics of which the classes of a task of that kind have scores."""
    return {
        one.name: one.by_class
        for one in METRICS.values()
        if one.by_class is not None and one.suits(multilabel)
    }


def check_metrics(protocol: ProbeProtocol, task: str) -> None:
    """Refuse a protocol whose metrics are unknown or make no sense. Raises UsageError."""
    suited = [one for one in METRICS.values() if one.suits(protocol.multilabel)]
    reported = [one.name for one in suited if one.is_reported]
    for name, allowed in (
        (protocol.select, [one.name for one in suited]),
        *((one, reported) for one in protocol.metrics),
    ):
        if name not in allowed:
            raise UsageError(
                f"task '{task}' asks for metric '{name}': it can have {', '.join(allowed)}."
            )


def confusion(scores: FloatArray, targets: BoolArray) -> NDArray[np.int64]:
    """(classes, classes) clips by their class, in rows, and the class with the highest score."""
    classes = targets.shape[1]
    pairs = targets.argmax(axis=1) * classes + scores.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def resampled_metrics(
    names: Sequence[str], scores: FloatArray, targets: BoolArray, weights: Weights
) -> dict[str, FloatArray]:
    """(resamples,) of each metric, by name; clips are ranked once for all that need it.

    Args:
        names: Of metrics that are reported.
        scores: (clips, classes).
        targets: (clips, classes).
        weights: (clips, resamples).
    """
    ranked = _ranked(names, scores, targets, weights)
    return {
        name: ranked[name] if weighted is None else weighted(scores, targets, weights)
        for name in names
        for weighted in [METRICS[name].weighted]
    }


def _ranked(
    names: Sequence[str], scores: FloatArray, targets: BoolArray, weights: Weights
) -> dict[str, FloatArray]:
    metrics = {name: ranked for name in names if (ranked := METRICS[name].ranked)}
    labels = np.flatnonzero(scored_classes(targets)).tolist() if metrics else []
    by_class: dict[str, list[FloatArray]] = {name: [] for name in metrics}
    for label in labels:
        ranking = Ranking(scores[:, label], targets[:, label], weights)
        for name, metric in metrics.items():
            by_class[name].append(metric(ranking))
    return {name: _mean_over_classes(values) for name, values in by_class.items()}


def _unknown(scores: FloatArray, targets: BoolArray) -> float:
    raise NotImplementedError("a metric of another mscol")


def _each_class(metric: Callable[..., float], scores: FloatArray, targets: BoolArray) -> FloatArray:
    values = np.full(targets.shape[1], np.nan)
    for label in np.flatnonzero(scored_classes(targets)).tolist():
        values[label] = metric(targets[:, label], scores[:, label])
    return values


def _macro(by_class: ClassMetric, scores: FloatArray, targets: BoolArray) -> float:
    values = by_class(scores, targets)[scored_classes(targets)]
    return float(np.mean(values)) if len(values) else float("nan")


def _f1(guess: BoolArray, truth: BoolArray, weights: Weights) -> FloatArray:
    guessed, true, hit = (sum_rows(weights[rows]) for rows in (guess, truth, guess & truth))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(true > 0, 2 * hit / (guessed + true), np.nan)


def _mean_over_classes(by_class: list[FloatArray]) -> FloatArray:
    with warnings.catch_warnings():
        # A resample without any class that can be scored is not a number, and is left out later.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(np.stack(by_class), axis=0), dtype=np.float64)
