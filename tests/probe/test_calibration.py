"""Calibration of clip scores, thresholds, and the expected calibration error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score

from mscol_cli.probe.calibration import fit_calibration, fit_thresholds, identity, ranked_classes
from mscol_cli.probe.reliability import reliability
from mscol_cli.probe.windows import BoolArray, FloatArray
from tests.helpers.probing import one_hot

CLIPS = 4000


def drawn(logits: FloatArray, seed: int = 1) -> BoolArray:
    """Labels drawn from the softmax of logits (clips, classes)."""
    noise = np.random.default_rng(seed).gumbel(size=logits.shape)
    return one_hot((logits + noise).argmax(axis=1).tolist(), logits.shape[1])


def test_the_temperature_that_made_the_labels_is_found() -> None:
    logits = 2 * np.random.default_rng(0).standard_normal((CLIPS, 5))
    targets = drawn(logits)
    sharp: FloatArray = 3 * logits
    fitted = fit_calibration(False, sharp, targets)
    assert fitted.temperature == pytest.approx(3, rel=0.1)
    before = reliability(identity(False, 5).probabilities(sharp), targets, False)
    after = reliability(fitted.probabilities(sharp), targets, False)
    assert after.error < 0.03 < 0.1 < before.error


def test_a_validation_set_without_errors_has_a_finite_temperature() -> None:
    targets = one_hot([0, 1, 2, 0], 3)
    logits = 50 * targets.astype(np.float64)
    best = fit_calibration(False, logits, targets).probabilities(logits)
    # Four clips of four, and a third of one more.
    np.testing.assert_allclose(best.max(axis=1), 13 / 15, atol=1e-3)


def test_the_slope_and_offset_that_made_the_labels_are_found() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((CLIPS, 2)) * 2
    truth = expit(logits * [0.5, 2.0] + [-1.0, 0.5])
    targets = rng.random(truth.shape) < truth
    fitted = fit_calibration(True, expit(logits), targets)
    np.testing.assert_allclose(fitted.slopes, [0.5, 2.0], rtol=0.15)
    np.testing.assert_allclose(fitted.offsets, [-1.0, 0.5], atol=0.15)


def test_a_class_that_validation_contradicts_is_as_probable_everywhere() -> None:
    scores = np.array([[0.1], [0.2], [0.8], [0.9]])
    targets = np.array([[True], [True], [False], [False]])
    fitted = fit_calibration(True, scores, targets)
    assert fitted.slopes == (0.0,)
    np.testing.assert_allclose(fitted.probabilities(scores), 0.5, atol=1e-6)


@pytest.mark.parametrize("value", [False, True])
def test_a_class_that_validation_lacks_keeps_its_scores(value: bool) -> None:
    scores, targets = np.array([[0.1], [0.7]]), np.full((2, 1), value)
    fitted = fit_calibration(True, scores, targets)
    np.testing.assert_allclose(fitted.probabilities(scores), scores)


def test_scores_of_zero_and_one_stay_finite() -> None:
    extreme = identity(True, 2).probabilities(np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(extreme, [[0, 1]], atol=2e-6)


def test_thresholds_have_the_best_f1_on_validation() -> None:
    rng = np.random.default_rng(3)
    targets = rng.random((60, 2)) < [0.2, 0.6]
    scores = np.clip(0.3 * targets + 0.7 * rng.random(targets.shape), 0, 1)
    for row, threshold in enumerate(fit_thresholds(scores, targets)):
        best = max(f1_score(targets[:, row], scores[:, row] >= value) for value in scores[:, row])
        assert f1_score(targets[:, row], scores[:, row] >= threshold) == pytest.approx(best)


def test_of_thresholds_with_equal_f1_the_highest_is_chosen() -> None:
    scores = np.array([[0.1], [0.3], [0.5], [0.7], [0.9]])
    # F1 is 2 / 3 from 0.9, and again from 0.3.
    targets = np.array([[False], [True], [False], [False], [True]])
    np.testing.assert_allclose(fit_thresholds(scores, targets), [0.8])


@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.8, 0.9], [0.4, 0.4, 0.4, 0.4]])
def test_a_class_that_validation_cannot_rank_is_not_assigned_to_every_clip(
    scores: list[float],
) -> None:
    targets = np.array([[True], [False], [False], [False]])
    column = np.array(scores)[:, None]
    probabilities = fit_calibration(True, column, targets).probabilities(column)
    assert ranked_classes(probabilities, targets).tolist() == [False]
    assert fit_thresholds(probabilities, targets) == (0.5,)
    assert (probabilities < 0.5).all()


def test_a_class_without_positives_has_the_threshold_one_half() -> None:
    assert fit_thresholds(np.array([[0.2], [0.9]]), np.zeros((2, 1), dtype=bool)) == (0.5,)


def test_the_error_is_the_weighted_distance_of_confidence_and_truth() -> None:
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [1.0, 0.0]])
    measured = reliability(probabilities, one_hot([0, 1, 1, 0], 2), multilabel=False)
    assert [(item.low, item.count) for item in measured.bins] == [(0.6, 1), (0.9, 3)]
    confidence, observed = (0.95 + 0.95 + 1) / 3, 2 / 3
    wanted = (3 * (confidence - observed) + (1 - 0.65)) / 4
    assert measured.error == pytest.approx(wanted)


def test_tags_count_every_pair_of_clip_and_class() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]])
    measured = reliability(probabilities, np.array([[True, False], [True, False]]), multilabel=True)
    assert sum(item.count for item in measured.bins) == 4
    assert measured.error == pytest.approx(0.1)
