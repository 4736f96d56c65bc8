"""Scores of classifiers that never listen, to stand below those of classifiers that do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mscol_cli.probe.metrics import METRICS
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
    majority = {name: METRICS[name].score(constant, test) for name in metrics}
    guessed = {
        name: guess(test) for name in metrics if (guess := METRICS[name].guessed) is not None
    }
    return {CHANCE: {**majority, **guessed}, MAJORITY: majority}
