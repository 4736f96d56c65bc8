"""Scores by class, confusions, and groups on both sides of a split."""

from __future__ import annotations

from pathlib import Path

from mscol_cli.contracts.task import Split, TaskItem
from mscol_cli.pages.page import Page, Section
from mscol_cli.pages.render import page_markdown
from mscol_cli.probe import metrics
from mscol_cli.probe.leakage import shared_groups
from mscol_cli.probe.notes import shared_lines
from mscol_cli.probe.page import class_blocks
from mscol_cli.probe.result import ClassScore, Score, ScoredSet, SharedGroups
from tests.helpers.probing import one_hot


def item(name: str, split: Split, **groups: str) -> TaskItem:
    return TaskItem(name, Path(name), split, (0,), groups)


def test_confusions_by_hand() -> None:
    targets, scores = one_hot([0, 0, 1, 2], 3), one_hot([0, 2, 1, 0], 3).astype(float)
    assert metrics.confusion(scores[None], targets) == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]


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
        "artist: 1 of 2 in the test clips are also in the training clips (2 of 3 test clips)"
    ]


def scored_set(classes: int, confusion: tuple[tuple[int, ...], ...] = ()) -> ScoredSet:
    score = Score(0.5, 0.4, 0.6, 0.1, (0.4, 0.6))
    scores = [
        ClassScore(f"class {row}", row, {"roc_auc": 0.5, "average_precision": row / 100})
        for row in range(1, classes)
    ]
    absent = ClassScore("class 0", 0, {"roc_auc": None, "average_precision": None})
    return ScoredSet("test", 9, {"accuracy": score}, (), (absent, *scores), confusion)


def shown(test_set: ScoredSet) -> str:
    return page_markdown(Page("", "", [Section("", list(class_blocks(test_set)))]))


def test_few_classes_are_all_shown_and_one_without_clips_has_no_score() -> None:
    page = shown(scored_set(3, ((0, 0, 0), (1, 4, 0), (0, 0, 6))))
    assert "| class 0 | 0 | none | none |" in page
    assert "| class 2 | 2 | 0.5000 | 0.0200 |" in page
    assert "| class 1 | 0.5 | 2 | 0 |" in page


def test_of_many_classes_the_best_and_the_worst_are_shown() -> None:
    page = shown(scored_set(50))
    rows = [row for row in range(50) if f"| class {row} |" in page]
    assert rows == [1, 2, 3, 4, 5, 45, 46, 47, 48, 49]
