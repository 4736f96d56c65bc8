"""Scores against cases made by hand, and their intervals against slow bootstraps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.errors import UsageError
from mscol_cli.probe import metrics
from mscol_cli.probe.bootstrap import RESAMPLES, resample
from mscol_cli.probe.windows import BoolArray, FloatArray, Weights
from tests.helpers.probing import one_hot


def tagging(clips: int, seed: int) -> tuple[FloatArray, BoolArray]:
    """Five tags, one of them on no clip, scores that know a little and tie often."""
    rng = np.random.default_rng(seed)
    targets = rng.random((clips, 5)) < np.array([0.5, 0.2, 0.1, 0.03, 0.0])
    targets[0, :4] = True
    scores = np.round(targets + 1.5 * rng.standard_normal(targets.shape), 1)
    return scores, targets


def genres(clips: int, seed: int) -> tuple[FloatArray, BoolArray]:
    """Four classes, one of them without clips."""
    rng = np.random.default_rng(seed)
    targets = one_hot((rng.permutation(clips) % 3).tolist(), 4)
    return targets + rng.standard_normal(targets.shape), targets


def test_accuracy_and_f1_by_hand() -> None:
    targets = one_hot([0, 0, 1, 1], 3)
    scores = one_hot([0, 1, 1, 2], 3).astype(float)
    assert metrics.accuracy(scores, targets) == 0.5
    # Class 0: precision 1, recall 1/2; class 1: 1/2, 1/2; class 2 has no clips to average.
    assert metrics.macro_f1(scores, targets) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_ranking_metrics_by_hand() -> None:
    targets = np.array([[1, 1], [0, 1], [1, 1], [0, 1]], dtype=bool)
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.4]])
    assert metrics.roc_auc(scores, targets) == pytest.approx(3 / 4)
    assert metrics.average_precision(scores, targets) == pytest.approx((1 + 2 / 3) / 2)


def test_one_sided_classes_are_told_apart() -> None:
    targets = np.array([[1, 1, 0], [0, 1, 0]], dtype=bool)
    assert metrics.scored_classes(targets).tolist() == [True, False, False]


def test_no_class_to_score_is_not_a_number() -> None:
    targets = np.ones((3, 2), dtype=bool)
    assert np.isnan(metrics.average_precision(np.zeros((3, 2)), targets))


def test_a_metric_that_does_not_fit_the_task_is_refused() -> None:
    protocol = ProbeProtocol(multilabel=True, select="average_precision", metrics=("accuracy",))
    with pytest.raises(UsageError, match=r"task 'mine': requests .*'accuracy'"):
        metrics.check_metrics(protocol, "task 'mine'")


def ranks(queries: int, seed: int) -> FloatArray:
    """Ranks of targets among twenty candidates, up to three of which are equal."""
    rng = np.random.default_rng(seed)
    equal = rng.integers(1, 4, queries)
    rank = rng.integers(1, 18, queries) + (equal - 1) / 2
    return np.stack([rank, np.full(queries, 20.0), equal], axis=1)


def resampled(name: str, scores: FloatArray, targets: BoolArray, weights: Weights) -> FloatArray:
    return metrics.resampled_metrics([name], scores, targets, weights)[name]


REPORTED = sorted(name for name, metric in metrics.METRICS.items() if metric.is_reported)


@pytest.mark.parametrize("name", REPORTED)
@pytest.mark.parametrize("seed", range(3))
def test_weights_of_one_give_the_plain_metric(name: str, seed: int) -> None:
    metric = metrics.METRICS[name]
    scores, targets = (tagging if metric.multilabel else genres)(60, seed)
    if metric.retrieval:
        scores, targets = ranks(60, seed), np.ones((60, 3), dtype=bool)
    weights = np.ones((60, 2), dtype=np.float32)
    plain = metric.score(scores, targets)
    assert_allclose(resampled(name, scores, targets, weights), [plain] * 2, rtol=1e-6)


@pytest.mark.parametrize("name", REPORTED)
def test_the_mean_over_the_scores_of_classes_is_the_metric(name: str) -> None:
    metric = metrics.METRICS[name]
    scores, targets = (tagging if metric.multilabel else genres)(60, 0)
    if metric.by_class is not None:
        values = metric.by_class(scores, targets)
        assert (~np.isnan(values)).tolist() == metrics.scored_classes(targets).tolist()
        assert np.nanmean(values) == pytest.approx(metric.score(scores, targets))


def test_ranks_of_values_follow_what_is_better() -> None:
    lower = replace(metrics.METRICS["accuracy"], higher_is_better=False)
    assert lower.rank(0.2) > lower.rank(0.3)
    assert metrics.find_metric("accuracy").rank(0.2) < metrics.find_metric("accuracy").rank(0.3)


def test_metrics_of_another_mscol_have_a_name() -> None:
    assert metrics.find_metric("roc_auc").label == "macro ROC-AUC"
    assert metrics.find_metric("top_5").label == metrics.find_metric("top_5").title == "top 5"
    assert metrics.find_metric("top_5").rank(0.5) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_weighted_ranking_is_that_of_scikit_learn(seed: int) -> None:
    scores, targets = tagging(80, seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(80, 3)).astype(np.float32)
    for judge, name in (
        (average_precision_score, "average_precision"),
        (roc_auc_score, "roc_auc"),
    ):
        slow = [
            np.mean([judge(targets[:, k], scores[:, k], sample_weight=w) for k in range(3)])
            for w in weights.T
        ]
        ours = resampled(name, scores[:, :3], targets[:, :3], weights)
        assert_allclose(ours, slow, rtol=1e-5)


def test_weighted_f1_is_that_of_scikit_learn() -> None:
    scores, targets = genres(50, 0)
    weights = np.random.default_rng(1).integers(1, 4, size=(50, 3)).astype(np.float32)
    truth, guess = targets.argmax(1), scores.argmax(1)
    slow = [
        f1_score(truth, guess, labels=[0, 1, 2], average="macro", sample_weight=w)
        for w in weights.T
    ]
    assert_allclose(metrics.weighted_macro_f1(scores, targets, weights), slow, rtol=1e-6)


def test_a_class_that_a_resample_lost_is_left_out_of_its_mean() -> None:
    scores, targets = tagging(40, 0)
    weights = np.ones((40, 1), dtype=np.float32)
    weights[targets[:, 3]] = 0
    kept = weights[:, 0] > 0
    expected = metrics.average_precision(scores[kept], targets[kept])
    assert_allclose(resampled("average_precision", scores, targets, weights), [expected], rtol=1e-6)


def interval(
    metric: str, scores: FloatArray, targets: BoolArray, resamples: int = RESAMPLES
) -> tuple[float, float]:
    return resample(metric, scores, targets, resamples=resamples).interval()


def test_interval_of_accuracy_is_the_binomial_one() -> None:
    targets = one_hot([0] * 200 + [1] * 200, 2)
    guess = one_hot([0] * 150 + [1] * 200 + [0] * 50, 2).astype(float)
    low, high = interval("accuracy", guess[None], targets)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.01)


@pytest.mark.parametrize("name", ["average_precision", "roc_auc"])
def test_intervals_cover_the_score_of_a_far_larger_test_set(name: str) -> None:
    truth = metrics.METRICS[name].score(*tagging(40000, 1000))
    covered = 0
    for seed in range(40):
        scores, targets = tagging(400, seed)
        low, high = interval(name, scores[None], targets, resamples=200)
        covered += low <= truth <= high
    assert covered >= 33


def test_interval_narrows_with_the_test_set() -> None:
    def width(clips: int) -> float:
        scores, targets = genres(clips, 0)
        low, high = interval("macro_f1", scores[None], targets, resamples=300)
        return high - low

    assert width(1600) == pytest.approx(width(100) / 4, rel=0.35)


def test_interval_is_of_the_mean_over_seeds() -> None:
    (right, targets), (wrong, _) = genres(100, 0), genres(100, 1)
    one = interval("accuracy", right[None], targets)
    mean = interval("accuracy", np.stack([right, wrong]), targets)
    assert one == interval("accuracy", np.stack([right, right]), targets)
    assert one != mean
    assert mean[0] < metrics.accuracy(right, targets) / 2 + metrics.accuracy(wrong, targets) / 2


def test_interval_holds_its_score_even_where_resampling_raises_it() -> None:
    rng = np.random.default_rng(0)
    targets = rng.random((300, 1)) < 0.04
    scores = targets + rng.standard_normal((5, *targets.shape))
    value = np.mean([metrics.average_precision(one, targets) for one in scores])
    low, high = interval("average_precision", scores, targets)
    assert 0 <= low < value < high <= 1


@pytest.mark.parametrize("clips", [5, 20])
def test_interval_of_an_accuracy_without_spread_is_the_binomial_one(clips: int) -> None:
    targets = one_hot([0] * clips, 2)
    bound = 0.025 ** (1 / clips)
    right, wrong = (labels[None].astype(float) for labels in (targets, ~targets))
    assert interval("accuracy", right, targets) == pytest.approx((bound, 1))
    assert interval("accuracy", wrong, targets) == pytest.approx((0, 1 - bound))
    exact = binomtest(4 * clips // 5, clips).proportion_ci()
    seeds = np.concatenate([right] * 4 + [wrong])
    assert interval("accuracy", seeds, targets) == pytest.approx((exact.low, exact.high))


def test_interval_of_accuracy_covers_high_ones_on_few_clips() -> None:
    rng, trials, covered = np.random.default_rng(0), 200, 0
    targets = one_hot([0] * 12, 2)
    for _ in range(trials):
        guesses = one_hot((rng.random(12) >= 0.95).astype(int).tolist(), 2).astype(float)
        low, high = interval("accuracy", guesses[None], targets, 200)
        covered += low <= 0.95 <= high
    assert covered > 0.9 * trials
