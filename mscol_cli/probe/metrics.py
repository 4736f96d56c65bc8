"""The table of probe metrics, used by all scores, reports and checks.

scikit-learn is imported where it is used: `pretrain` starts in three quarters of the time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.errors import UsageError
from mscol_cli.probe.rank_metrics import median_rank, recall_at, weighted_median_rank
from mscol_cli.probe.ranking import Ranking, sum_rows
from mscol_cli.probe.windows import BoolArray, FloatArray, Weights

ClassMetric = Callable[[FloatArray, BoolArray], FloatArray]


@dataclass(frozen=True)
class Metric:
    """A metric of scores (clips, classes) and targets (clips, classes).

    A metric without `weighted` or `ranked` has no interval: it can be used for selection, but not
    reported.

    Attributes:
        name: Name in protocols and in probe.json.
        title: Name in tables; for a macro average, the name of its per-class metric.
        score: Function of scores and targets, from 0 to 1; NaN if no class can be scored.
        weighted: Function of scores, targets and weights (clips, resamples), with one value per
            resample (resamples,).
        ranked: Alternative to `weighted`: function of the `Ranking` of one class, (resamples,).
        by_class: Function of scores and targets, (classes,), NaN for classes without a score; None
            for a metric without per-class scores.
        guessed: Function of the targets, the score of guessing every class equally often; None if
            that equals the score of a constant prediction.
        macro: Whether the metric is a mean over the scored classes.
        single_label: Whether the metric suits single-label tasks.
        multilabel: Whether the metric suits multi-label tasks.
        higher_is_better: Whether higher values are better.
        retrieval: Whether scores are those of retrieval: ranks and candidates of queries.
        proportion: Whether the metric is a share of hits, which has a binomial interval.
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
    retrieval: bool = False
    proportion: bool = False

    @property
    def label(self) -> str:
        """Name in tables of scores over all classes."""
        return f"macro {self.title}" if self.macro else self.title

    @property
    def is_reported(self) -> bool:
        """Whether the metric has an interval, and so can be reported."""
        return self.weighted is not None or self.ranked is not None

    def suits(self, multilabel: bool) -> bool:
        """Whether the metric suits multi-label (or single-label) tasks."""
        return self.multilabel if multilabel else self.single_label

    def rank(self, value: float) -> float:
        """The value, negated if lower is better, so that higher ranks are better."""
        return value if self.higher_is_better else -value


def scored_classes(targets: BoolArray) -> BoolArray:
    """(classes,) whether a class has both positives and negatives in targets (clips, classes).

    Macro averages include only these classes: the others have no ROC-AUC, and must be listed next
    to every macro average.
    """
    return np.asarray(targets.any(axis=0) & ~targets.all(axis=0))


def accuracy(scores: FloatArray, targets: BoolArray) -> float:
    """Share of clips whose highest score is that of their label; both arrays (clips, classes)."""
    return float((targets.argmax(axis=1) == scores.argmax(axis=1)).mean())


def macro_f1(scores: FloatArray, targets: BoolArray) -> float:
    """Mean F1 over the scored classes; the prediction is the class with the highest score."""
    from sklearn.metrics import f1_score

    classes = np.flatnonzero(scored_classes(targets))
    if len(classes) == 0:
        return float("nan")
    truth, guess = targets.argmax(axis=1), scores.argmax(axis=1)
    return float(f1_score(truth, guess, labels=classes, average="macro", zero_division=0.0))


def roc_auc(scores: FloatArray, targets: BoolArray) -> float:
    """Mean area under the ROC curve over the scored classes."""
    return _macro(class_roc_auc, scores, targets)


def average_precision(scores: FloatArray, targets: BoolArray) -> float:
    """Mean average precision over the scored classes (PR-AUC in the tagging literature)."""
    return _macro(class_average_precision, scores, targets)


def binary_accuracy(scores: FloatArray, targets: BoolArray) -> float:
    """Share of correct decisions over clips and classes, at a threshold of 0.5.

    The published MagnaTagATune classifier is selected by this metric, which is insensitive to rare
    tags.
    """
    return float(((scores > 0.5) == targets).mean())


def class_roc_auc(scores: FloatArray, targets: BoolArray) -> FloatArray:
    """(classes,) area under the ROC curve of each class against all others."""
    from sklearn.metrics import roc_auc_score

    return _each_class(roc_auc_score, scores, targets)


def class_average_precision(scores: FloatArray, targets: BoolArray) -> FloatArray:
    """(classes,) average precision of each class against all others."""
    from sklearn.metrics import average_precision_score

    return _each_class(average_precision_score, scores, targets)


def weighted_accuracy(scores: FloatArray, targets: BoolArray, weights: Weights) -> FloatArray:
    """(resamples,) weighted share of correctly classified clips; weights (clips, resamples)."""
    hits = scores.argmax(axis=1) == targets.argmax(axis=1)
    share: FloatArray = sum_rows(weights[hits]) / sum_rows(weights)
    return share


def weighted_macro_f1(scores: FloatArray, targets: BoolArray, weights: Weights) -> FloatArray:
    """(resamples,) mean F1 over the classes in each resample; weights (clips, resamples)."""
    guess = scores.argmax(axis=1)
    labels = np.flatnonzero(scored_classes(targets))
    by_class = [_f1(guess == label, targets[:, label], weights) for label in labels.tolist()]
    return _mean_over_classes(by_class)


def guessed_accuracy(targets: BoolArray) -> float:
    """Expected accuracy of guessing every class equally often."""
    return 1 / float(targets.shape[1])


def guessed_macro_f1(targets: BoolArray) -> float:
    """Macro F1 of guessing every class equally often."""
    share = guessed_accuracy(targets)
    prevalence = targets.mean(axis=0)[scored_classes(targets)]
    # The precision of guessing is the prevalence, and its recall the share of guesses.
    f1 = 2 * prevalence * share / (prevalence + share)
    return float(f1.mean()) if len(f1) else float("nan")


_ALL = (
    Metric(
        "accuracy",
        "accuracy",
        accuracy,
        weighted_accuracy,
        guessed=guessed_accuracy,
        proportion=True,
    ),
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
CUTOFFS: Mapping[str, int | None] = {
    **{f"recall_at_{k}": k for k in (1, 5, 10)},
    "median_rank": None,
}
"""Metrics of retrieval, with the number of candidates that recall looks at."""


def _retrieval(name: str, k: int | None) -> Metric:
    title = "median normalised rank" if k is None else f"R@{k}"
    score, weighted = (median_rank, weighted_median_rank) if k is None else recall_at(k)
    return Metric(
        name,
        title,
        score,
        weighted,
        single_label=False,
        higher_is_better=k is not None,
        retrieval=True,
        proportion=k is not None,
    )


METRICS: Mapping[str, Metric] = {
    metric.name: metric for metric in (*_ALL, *(_retrieval(name, k) for name, k in CUTOFFS.items()))
}
PAIRED = METRICS["roc_auc"]
"""Metric of comparisons per class: chance is 0.5 at any prevalence."""
CLASS_ORDER = METRICS["average_precision"]
"""Metric that tables of classes are sorted by, best first."""


def find_metric(name: str) -> Metric:
    """Look up a metric; unknown names, from results of other versions, can only be displayed."""
    return METRICS.get(name) or Metric(name, name.replace("_", " "), _unknown)


def class_metrics(multilabel: bool) -> dict[str, ClassMetric]:
    """Metrics with per-class scores that suit multi-label (or single-label) tasks, by name."""
    return {
        metric.name: metric.by_class
        for metric in METRICS.values()
        if metric.by_class is not None and metric.suits(multilabel)
    }


def check_metrics(protocol: ProbeProtocol, label: str, retrieval: bool = False) -> None:
    """Raise UsageError if the protocol of a task has unknown or unsuitable metrics; `label` names
    the task."""
    suitable = [
        metric
        for metric in METRICS.values()
        if (metric.retrieval if retrieval else metric.suits(protocol.multilabel))
    ]
    reported = [metric.name for metric in suitable if metric.is_reported]
    default = ", its default" if protocol.select == ProbeProtocol.select else ""
    for name, use, allowed in (
        (protocol.select, f" for select{default}", [metric.name for metric in suitable]),
        *((name, "", reported) for name in protocol.metrics),
    ):
        if name not in allowed:
            raise UsageError(
                f"{label}: requests metric '{name}'{use}: choose from {', '.join(allowed)}."
            )


def confusion(scores: FloatArray, targets: BoolArray) -> list[list[int]]:
    """Confusion matrix, summed over seeds: clips by true class (rows) and predicted class.

    Args:
        scores: (seeds, clips, classes) clip scores.
        targets: (clips, classes) labels.
    """
    classes = targets.shape[1]
    pairs = targets.argmax(axis=1) * classes + scores.argmax(axis=2)
    counts = np.bincount(pairs.ravel(), minlength=classes * classes)
    matrix: list[list[int]] = counts.reshape(classes, classes).tolist()
    return matrix


def resampled_metrics(
    names: Sequence[str], scores: FloatArray, targets: BoolArray, weights: Weights
) -> dict[str, FloatArray]:
    """Compute metrics on resamples, (resamples,) each, by name; clips are ranked only once.

    Args:
        names: Names of metrics that are reported.
        scores: (clips, classes) clip scores.
        targets: (clips, classes) labels.
        weights: (clips, resamples) number of times that each clip was drawn.
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


def _unknown(*_: object) -> float:
    raise ValueError("this version of mscol cannot compute the metric")


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
        # A resample without any scored class is NaN, and is dropped later.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(np.stack(by_class), axis=0), dtype=np.float64)
