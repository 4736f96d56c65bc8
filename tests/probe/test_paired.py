"""Paired differences: against a slow bootstrap, and on clips that only partly coincide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm, t

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.pages.render import page_markdown
from mscol_cli.probe import metrics
from mscol_cli.probe.bootstrap import difference, holm, resample
from mscol_cli.probe.published import PUBLISHED, published_scores
from mscol_cli.probe.result import Score
from mscol_cli.probe.scores import ClipScores, read_scores, resampled_pair, write_scores
from mscol_cli.probe.table import Column, JointTable, Row, joint_dict, joint_page
from mscol_cli.probe.windows import BoolArray, FloatArray
from tests.helpers.probing import one_hot


def scored(targets: BoolArray, noise: float, seed: int) -> FloatArray:
    """Two seeds' scores of clips, better with less noise."""
    rng = np.random.default_rng(seed)
    return np.stack([targets + noise * rng.standard_normal(targets.shape) for _ in range(2)])


def kept(noise: float, seed: int, clips: int = 60) -> ClipScores:
    targets = one_hot([row % 3 for row in range(clips)], 3)
    scores = scored(targets, noise, seed)
    return ClipScores(
        ids=[f"clip {row}" for row in range(clips)],
        classes=("a", "b", "c"),
        scores=scores,
        targets=targets,
        members={"test": np.ones(clips, dtype=bool)},
        resampled={("test", "accuracy"): resample("accuracy", scores, targets)},
    )


def without(whole: ClipScores, row: int) -> ClipScores:
    """The same but for one clip."""
    scores, targets = np.delete(whole.scores, row, axis=1), np.delete(whole.targets, row, axis=0)
    return replace(
        whole,
        ids=[*whole.ids[:row], *whole.ids[row + 1 :]],
        scores=scores,
        targets=targets,
        members={"test": np.ones(len(targets), dtype=bool)},
        resampled={("test", "accuracy"): resample("accuracy", scores, targets)},
    )


@pytest.mark.slow
def test_the_interval_of_a_difference_is_that_of_a_slow_paired_bootstrap() -> None:
    first, second = kept(0.75, 1), kept(0.9, 2)
    found = difference(*resampled_pair(first, second, "test", "accuracy")[:2])
    rng = np.random.default_rng(0)
    drawn = [rng.integers(60, size=60) for _ in range(1000)]
    slow = [
        np.mean([metrics.accuracy(one[rows], first.targets[rows]) for one in first.scores])
        - np.mean([metrics.accuracy(one[rows], first.targets[rows]) for one in second.scores])
        for rows in drawn
    ]
    wider = t.ppf(0.975, 59) / norm.ppf(0.975) * np.sqrt(60 / 59)
    moved = np.where(np.abs(slow) < 1e-9, 0, wider * (np.array(slow) - np.mean(slow)) + found.value)
    assert_allclose((found.low, found.high), np.percentile(moved, [2.5, 97.5]), atol=1e-9)
    assert found.p > 2 / 1001
    assert found.p == pytest.approx(2 * (min((moved <= 0).sum(), (moved >= 0).sum()) + 1) / 1001)


def test_pairing_sees_what_two_intervals_side_by_side_do_not() -> None:
    targets = one_hot([row % 2 for row in range(200)], 2)
    base = scored(targets, 1.0, 3)
    better = base.copy()
    wrong = np.flatnonzero(base[0].argmax(1) != targets.argmax(1))[:10]
    better[:, wrong] = targets[wrong]
    first, second = (resample("accuracy", one, targets) for one in (better, base))
    assert first.interval()[0] < second.interval()[1]
    found = difference(first, second)
    assert found.low > 0
    assert found.p < 0.01


def test_equal_models_do_not_differ() -> None:
    one = kept(0.6, 1)
    found = difference(*resampled_pair(one, one, "test", "accuracy")[:2])
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_one_clip_of_many_makes_no_difference(seed: int) -> None:
    targets = one_hot([row % 2 for row in range(2000)], 2)
    right = targets.astype(np.float64)[None]
    wrong = right.copy()
    wrong[0, 0] = 1 - wrong[0, 0]
    pair = (resample("accuracy", one, targets, seed=seed) for one in (right, wrong))
    found = difference(*pair)
    assert found.low == 0
    assert found.p > 0.5


@pytest.mark.slow
def test_under_no_difference_small_p_values_are_rare() -> None:
    p = [
        difference(
            *resampled_pair(kept(0.9, seed), kept(0.9, seed + 500), "test", "accuracy")[:2]
        ).p
        for seed in range(100)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.12


def test_holm_by_hand() -> None:
    assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert holm([0.5]) == [0.5]
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_clips_of_one_model_only_are_left_out_of_both() -> None:
    whole, other = kept(0.6, 1), kept(0.9, 2)
    first, second, clips = resampled_pair(whole, without(other, 7), "test", "accuracy")
    alone = without(whole, 7).resampled["test", "accuracy"]
    assert clips == 59
    assert first.value == alone.value
    assert_allclose(first.draws, alone.draws)
    assert second.value == without(other, 7).resampled["test", "accuracy"].value


def test_other_labels_cannot_be_compared() -> None:
    one = kept(0.6, 1)
    with pytest.raises(UsageError, match="other labels"):
        resampled_pair(one, replace(one, targets=one.targets[:, ::-1]), "test", "accuracy")
    with pytest.raises(UsageError, match="other classes"):
        resampled_pair(one, replace(one, classes=("a", "b", "d")), "test", "accuracy")


def test_kept_scores_come_back_to_the_last_bit(tmp_path: Path) -> None:
    one = kept(0.6, 1)
    write_scores(tmp_path / "scores.safetensors", one)
    found = read_scores(tmp_path / "scores.safetensors")
    assert list(found.ids) == list(one.ids)
    np.testing.assert_array_equal(found.scores, one.scores)
    np.testing.assert_array_equal(found.members["test"], one.members["test"])
    drawn = found.resampled["test", "accuracy"]
    assert drawn.value == one.resampled["test", "accuracy"].value
    np.testing.assert_array_equal(drawn.draws, one.resampled["test", "accuracy"].draws)


def test_scores_that_are_missing_or_damaged_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "scores.safetensors"
    with pytest.raises(MissingDataError):
        read_scores(path)
    path.write_bytes(b"no scores")
    with pytest.raises(UsageError, match="damaged"):
        read_scores(path)


def joint(clips: int) -> JointTable:
    score = Score(0.5, 0.45, 0.55, 0.01, (0.49, 0.51))
    column = Column("fma", "test", "accuracy", clips, True)
    return JointTable([column], [Row("mine", "abc", 1, {"fma": "there"}, {column.key: score})])


def test_published_figures_stand_beside_the_same_test_clips_only() -> None:
    page = page_markdown(joint_page(joint(800)))
    assert "| COLA + MSA, published | 0.510 |" in page
    assert "2302.07077" in page
    assert len(joint_dict(joint(800))["published"]) == 5
    assert "published" not in page_markdown(joint_page(joint(799))).lower()
    assert joint_dict(joint(799))["published"] == []


def test_every_published_figure_is_found_by_its_size() -> None:
    assert len(PUBLISHED) == 27
    assert published_scores("mtat", "filtered", 4332, "roc_auc")["COLA"].value == 0.886
    assert published_scores("mtat", "filtered", 5329, "roc_auc") == {}
