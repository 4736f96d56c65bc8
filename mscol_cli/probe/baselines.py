"""Scores of trivial classifiers, which ignore the audio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mscol_cli.probe.metrics import METRICS
from mscol_cli.probe.windows import BoolArray

CHANCE, MAJORITY = "chance", "majority class"


def baselines(
    metrics: Sequence[str], train: BoolArray, test: BoolArray
) -> dict[str, dict[str, float]]:
    """Score trivial classifiers on the test clips, by name of the baseline and of the metric.

    `chance` guesses every class equally often. `majority class` predicts the class frequencies of
    the training clips, so the most frequent class, for every clip. Neither ranks clips: ROC-AUC is
    0.5, and average precision is the mean prevalence of the classes.

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
