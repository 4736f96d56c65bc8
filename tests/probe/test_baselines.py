"""Scores of classifiers that do not listen."""

import numpy as np
import pytest

from mscol_cli.probe.baselines import CHANCE, MAJORITY, baselines
from mscol_cli.probe.metrics import METRICS
from tests.helpers.probing import one_hot

TRAIN = one_hot([0] * 5 + [1] * 3 + [2] * 2, 3)
TEST = one_hot([0] * 2 + [1] * 6 + [2] * 2, 3)


def test_accuracy_is_that_of_guessing_and_of_the_class_most_frequent_in_training() -> None:
    found = baselines(["accuracy"], TRAIN, TEST)
    assert found == {CHANCE: {"accuracy": pytest.approx(1 / 3)}, MAJORITY: {"accuracy": 0.2}}


def test_ranking_metrics_are_those_of_equal_scores() -> None:
    found = baselines(["roc_auc", "average_precision"], TRAIN, TEST)
    for values in found.values():
        assert values["roc_auc"] == 0.5
        assert values["average_precision"] == pytest.approx((0.2 + 0.6 + 0.2) / 3)


def test_macro_f1_of_chance_is_that_of_guesses() -> None:
    test = np.tile(TEST, (400, 1))
    rng = np.random.default_rng(0)
    guessed = METRICS["macro_f1"].score(rng.random(test.shape), test)
    found = baselines(["macro_f1"], TRAIN, test)
    assert found[CHANCE]["macro_f1"] == pytest.approx(guessed, abs=0.02)
    assert found[MAJORITY]["macro_f1"] == pytest.approx(2 * 0.2 / 1.2 / 3)
