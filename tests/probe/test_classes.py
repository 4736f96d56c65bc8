"""Scores by class, confusions, and groups on both sides of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mscol_cli.contracts.task import Split, TaskItem
from mscol_cli.probe import metrics
from mscol_cli.probe.leakage import shared_groups
from mscol_cli.probe.markdown import class_section, shared_lines
from mscol_cli.probe.result import ClassScore, Score, ScoredSet, SharedGroups
from tests.helpers.probing import one_hot


def item(name: str, split: Split, **groups: str) -> TaskItem:
    return TaskItem(name, Path(name), split, (0,), groups)


def test_the_mean_over_classes_is_the_macro_average() -> None:
    rng = np.random.default_rng(0)
    targets = np.concatenate([rng.random((50, 4)) < 0.3, np.zeros((50, 1), dtype=bool)], axis=1)
    scores = rng.standard_normal(targets.shape)
    for metric in ("roc_auc", "average_precision"):
        values = metrics.by_class(metric, scores, targets)
        assert np.isnan(values).tolist() == [False] * 4 + [True]
        assert np.nanmean(values) == pytest.approx(metrics.METRICS[metric](scores, targets))


def test_confusions_by_hand() -> None:
    targets, scores = one_hot([0, 0, 1, 2], 3), one_hot([0, 2, 1, 0], 3).astype(float)
    assert metrics.confusion(scores, targets).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_groups_of_test_clips_that_were_trained_on_are_counted() -> None:
    items: dict[Split, list[TaskItem]] = {
        "train": [item("1", "train", artist="a"), item("2", "train", artist="b")],
        "valid": [item("3", "valid", artist="c")],
        "test": [
            item("4", "test", artist="a"),
            item("5", "test", artist="a"),
            item("6", "test", artist="c"),
            item("7", "test"),
        ],
    }
    (found,) = shared_groups(items)
    assert found == SharedGroups("artist", groups=2, shared=1, clips=3, shared_clips=2)
    assert shared_lines([found]) == [
        "artist: 1 of 2 among the test clips are among the training clips too, in 2 of 3 test clips"
    ]


def scored_set(classes: int, confusion: tuple[tuple[int, ...], ...] = ()) -> ScoredSet:
    score = Score(0.5, 0.4, 0.6, 0.1, (0.4, 0.6))
    scores = [ClassScore(f"class {row}", row, 0.5, row / 100) for row in range(1, classes)]
    absent = ClassScore("class 0", 0, None, None)
    return ScoredSet("test", 9, {"accuracy": score}, (), (absent, *scores), confusion)


def test_few_classes_are_all_shown_and_one_without_clips_has_no_score() -> None:
    page = class_section([scored_set(3, ((0, 0, 0), (1, 4, 0), (0, 0, 6)))])
    assert "| class 0 | 0 | none | none |" in page
    assert "| class 2 | 2 | 0.5000 | 0.0200 |" in page
    assert "| class 1 | 0.5 | 2 | 0 |" in page


def test_of_many_classes_the_best_and_the_worst_are_shown() -> None:
    page = class_section([scored_set(50)])
    shown = [row for row in range(50) if f"| class {row} |" in page]
    assert shown == [1, 2, 3, 4, 5, 45, 46, 47, 48, 49]
