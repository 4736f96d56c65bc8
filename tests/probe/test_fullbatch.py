"""Classifiers trained on all windows at once, and label budgets, on made-up embeddings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.probe import fullbatch
from mscol_cli.probe.fullbatch import train_full_batch
from mscol_cli.probe.label_budget import budget_rows
from mscol_cli.probe.metrics import accuracy, roc_auc
from mscol_cli.probe.windows import BoolArray
from tests.helpers.probing import gaussian_clips, one_hot

LINEAR = ProbeProtocol(classifier="linear")
TAGS = replace(LINEAR, multilabel=True, select="average_precision", metrics=("roc_auc",))


def genres(clips: int) -> BoolArray:
    return one_hot([clip % 4 for clip in range(clips)], 4)


def tags(clips: int, seed: int) -> BoolArray:
    return np.random.default_rng(seed).random((clips, 4)) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_classes_that_lie_apart_are_told_apart(classifier: str) -> None:
    train, valid, test = (gaussian_clips(genres(size), seed=size) for size in (120, 41, 80))
    probe = train_full_batch(replace(LINEAR, classifier=classifier), train, valid, 0)
    assert accuracy(probe.clip_scores(test), test.targets) > 0.9
    assert probe.weight_decay in fullbatch.WEIGHT_DECAYS


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_tags_that_lie_apart_are_told_apart(classifier: str) -> None:
    train, valid, test = (gaussian_clips(tags(size, size), seed=size) for size in (120, 41, 80))
    probe = train_full_batch(replace(TAGS, classifier=classifier), train, valid, 0)
    assert roc_auc(probe.clip_scores(test), test.targets) > 0.95


def test_linear_is_the_optimum_that_scikit_learn_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fullbatch, "WEIGHT_DECAYS", (0.01,))
    train, valid = (gaussian_clips(genres(size), seed=size, distance=1.0) for size in (120, 41))
    model = train_full_batch(LINEAR, train, valid, 0).model
    windows = train.windows[:].numpy()
    windows = (windows - windows.mean(0)) / windows.std(0)
    labels = train.targets.argmax(1)[train.owners().numpy()]
    slow = LogisticRegression(C=1 / (0.01 * len(windows)), tol=1e-8, max_iter=10_000)
    wanted = slow.fit(windows, labels).predict_proba(windows)
    found = model(train.windows[:]).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.slow
def test_linear_does_not_depend_on_the_seed() -> None:
    train, valid = (gaussian_clips(genres(size), seed=size) for size in (120, 41))
    first, second = (train_full_batch(LINEAR, train, valid, seed).model for seed in (0, 1))
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, second.state_dict()[name])


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_the_weight_decay_that_is_best_on_validation_is_kept(
    monkeypatch: pytest.MonkeyPatch, classifier: str
) -> None:
    protocol = replace(TAGS, classifier=classifier)
    train, valid = (
        gaussian_clips(tags(size, size), seed=size, dim=64, distance=1.0) for size in (40, 200)
    )
    kept = train_full_batch(protocol, train, valid, 0)
    alone = {}
    for weight_decay in (10.0, *fullbatch.WEIGHT_DECAYS):
        monkeypatch.setattr(fullbatch, "WEIGHT_DECAYS", (weight_decay,))
        alone[weight_decay] = train_full_batch(protocol, train, valid, 0).valid_score
    assert kept.valid_score == pytest.approx(max(alone.values()), abs=1e-3)
    assert alone[kept.weight_decay] == pytest.approx(kept.valid_score, abs=1e-3)
    assert max(alone.values()) > min(alone.values()) + 0.01


def test_a_budget_is_nested_stratified_and_seeded() -> None:
    targets = one_hot([0] * 80 + [1] * 16 + [2] * 4, 3)
    small, half = budget_rows(targets, 0.25, 7), budget_rows(targets, 0.5, 7)
    assert targets[half].sum(0).tolist() == [40, 8, 2]
    assert targets[small].sum(0).tolist() == [20, 4, 1]
    assert set(small) <= set(half)
    np.testing.assert_array_equal(small, budget_rows(targets, 0.25, 7))
    assert set(small) != set(budget_rows(targets, 0.25, 8))
    assert budget_rows(targets, 1, 7).tolist() == list(range(100))


def test_the_smallest_budget_has_a_clip_of_every_class() -> None:
    targets = one_hot([0] * 90 + [1] * 9 + [2], 4)
    assert budget_rows(targets, 0.01, 0).size == 3
    assert targets[budget_rows(targets, 0.01, 0)].any(0).tolist() == [True, True, True, False]


def test_a_tag_whose_clips_all_have_rarer_tags_is_in_every_budget() -> None:
    rarer = one_hot([clip // 20 for clip in range(80)], 4)
    targets = np.column_stack([np.arange(80) % 20 < 6, rarer])  # 24, the others 20
    for seed in range(20):
        small, large = budget_rows(targets, 0.01, seed), budget_rows(targets, 0.1, seed)
        assert targets[small].any(axis=0).all()
        assert set(small) <= set(large)


def test_clips_of_many_labels_count_for_the_rarest() -> None:
    targets = np.zeros((100, 3), dtype=bool)
    targets[:, 0] = True
    targets[::10, 1] = True
    targets[0, 2] = True
    rows = budget_rows(targets, 0.2, 0)
    assert targets[rows, 1].sum() in (2, 3)
    assert targets[rows, 2].sum() == 1
