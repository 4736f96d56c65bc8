"""Calibration of clip scores on validation clips, and thresholds of tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

from mscol_cli.probe.metrics import scored_classes
from mscol_cli.probe.windows import BoolArray, FloatArray

EDGE = 1e-6
"""Distance that multi-label scores keep from 0 and 1, where their logits are infinite."""
DEFAULT_THRESHOLD = 0.5
SAME = 1e-9
"""Calibrated scores, or F1, that differ by less are equal up to rounding."""
LOG_SCALES = (-6.0, 6.0)
"""Limits of the logarithm of the inverse temperature."""


@dataclass(frozen=True)
class Calibration:
    """A map from clip scores to probabilities.

    Attributes:
        temperature: Of a single-label task: the log probabilities (or mean logits) of a clip are
            divided by it before the softmax. None for a multi-label task.
        slopes: (classes,) of a multi-label task: factor of the logit of a clip score.
        offsets: (classes,) added to that product, before the sigmoid.
    """

    temperature: float | None = None
    slopes: Sequence[float] = ()
    offsets: Sequence[float] = ()

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """Map clip scores (clips, classes), as in `TrainedProbe.clip_scores`, to probabilities.

        The order of the classes of a single-label task is unchanged.
        """
        if self.temperature is not None:
            probabilities: FloatArray = softmax(scores / self.temperature, axis=1)
        else:
            slopes, offsets = np.asarray(self.slopes), np.asarray(self.offsets)
            probabilities = expit(slopes * _logit(scores) + offsets)
        return probabilities


def identity(multilabel: bool, classes: int) -> Calibration:
    """The calibration that changes nothing: temperature 1, or slopes 1 and offsets 0."""
    return Calibration(None, (1.0,) * classes, (0.0,) * classes) if multilabel else Calibration(1.0)


def fit_calibration(multilabel: bool, scores: FloatArray, targets: BoolArray) -> Calibration:
    """Fit a calibration to the scores of validation clips.

    Args:
        multilabel: Fit Platt's slope and offset per class, instead of one temperature.
        scores: (clips, classes) clip scores.
        targets: (clips, classes) labels.
    """
    if not multilabel:
        return Calibration(_temperature(scores, targets))
    logits = _logit(scores)
    fitted = [_platt(logits[:, row], targets[:, row]) for row in range(targets.shape[1])]
    return Calibration(None, tuple(pair[0] for pair in fitted), tuple(pair[1] for pair in fitted))


def fit_thresholds(probabilities: FloatArray, targets: BoolArray) -> tuple[float, ...]:
    """Choose the threshold of each class with the best F1 on validation clips; 0.5 for a class that
    these do not rank.

    Of thresholds with equal F1 the highest is taken, midway to the next lower score.

    Args:
        probabilities: (clips, classes) calibrated scores.
        targets: (clips, classes) labels.
    """
    return tuple(
        _threshold(probabilities[:, row], targets[:, row]) if is_ranked else DEFAULT_THRESHOLD
        for row, is_ranked in enumerate(ranked_classes(probabilities, targets).tolist())
    )


def ranked_classes(probabilities: FloatArray, targets: BoolArray) -> BoolArray:
    """(classes,) whether validation clips rank a class: it has positives and negatives, and their
    calibrated scores differ. They do not if its slope is 0, or if all clips have one score.

    Args:
        probabilities: (clips, classes) calibrated scores.
        targets: (clips, classes) labels.
    """
    return np.asarray(scored_classes(targets) & (np.ptp(probabilities, axis=0) > SAME))


def _logit(scores: FloatArray) -> FloatArray:
    logits: FloatArray = logit(np.clip(scores, EDGE, 1 - EDGE))
    return logits


def _temperature(logits: FloatArray, targets: BoolArray) -> float:
    """Temperature with the lowest cross-entropy (Guo et al., 2017).

    The targets are smoothed by one clip that is of all classes equally: without that, a validation
    set without errors would have temperature 0.
    """
    clips, classes = targets.shape
    smoothed = (targets * clips + 1 / classes) / (clips + 1)

    def loss(log_scale: float) -> float:
        return -float((smoothed * log_softmax(np.exp(log_scale) * logits, axis=1)).mean())

    best = minimize_scalar(loss, bounds=LOG_SCALES, method="bounded")
    return float(np.exp(-best.x))


def _platt(logits: FloatArray, targets: BoolArray) -> tuple[float, float]:
    """Slope and offset of a class (Platt, 1999), with his smoothed targets.

    The slope is not negative, so that a higher score is never a lower probability.
    """
    positive, negative = int(targets.sum()), int((~targets).sum())
    if not positive or not negative:
        return 1.0, 0.0
    smoothed = np.where(targets, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        values = parameters[0] * logits + parameters[1]
        errors = expit(values) - smoothed
        gradient = np.array([np.mean(errors * logits), np.mean(errors)])
        return float(np.mean(np.logaddexp(0, values) - smoothed * values)), gradient

    bounds = [(0.0, None), (None, None)]
    best = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(best.x[0]), float(best.x[1])


def _threshold(probabilities: FloatArray, targets: BoolArray) -> float:
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(targets, probabilities)
    # The last pair, precision 1 at recall 0, has no threshold.
    both = (precision + recall)[:-1]
    f1 = np.divide(2 * (precision * recall)[:-1], both, out=np.zeros_like(both), where=both > 0)
    best = int(np.flatnonzero(f1 >= f1.max() - SAME)[-1])
    return float(thresholds[max(0, best - 1) : best + 1].mean())
