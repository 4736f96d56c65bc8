"""Scores of classifiers that never listen, to stand below those of classifiers that do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mscol_cli.probe.metrics import METRICS, scored_classes
from mscol_cli.probe.windows import BoolArray

CHANCE, MAJORITY = "chance", "majority class"


def baselines(
    metrics: Sequence[str], train: BoolArray, test: BoolArray
) -> dict[str, dict[str, float]]:
    """By name of the baseline and of the metric, the score on test clips.

    `chance` guesses every class equally often. `majority class` gives every clip the frequencies
    of the training clips, so that the most frequent class is its answer. Neither ranks clips: both
    have a ROC-AUC of 0.5, and the mean prevalence of the classes as average precision.

    Args:
        metrics: Names of `METRICS`.
        train: (clips, classes) labels of the training clips.
        test: (clips, classes) labels of the test clips.
    """
    constant = np.broadcast_to(train.mean(axis=0), test.shape)
    majority = {metric: METRICS[metric](constant, test) for metric in metrics}
    return {CHANCE: {**majority, **_guessed(metrics, test)}, MAJORITY: majority}


def _guessed(metrics: Sequence[str], test: BoolArray) -> dict[str, float]:
    """Where guessing is not answering the same for every clip: metrics of one label a clip."""
    share = 1 / test.shape[1]
    prevalence = test.mean(axis=0)[scored_classes(test)]
    # Precision of a guess is the prevalence, its recall the share of guesses.
    f1 = 2 * prevalence * share / (prevalence + share)
    known = {"accuracy": share, "macro_f1": float(f1.mean()) if len(f1) else float("nan")}
    return {metric: value for metric, value in known.items() if metric in metrics}
