"""Groups of test clips, such as artists, are drawn as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from mscol_cli.contracts.task import TaskItem
from mscol_cli.errors import UsageError
from mscol_cli.probe import metrics
from mscol_cli.probe.bootstrap import Resampled, difference, holm, resample
from mscol_cli.probe.groups import MIN_CLIPS, UNGROUPED, ClipGroups, groups_of
from mscol_cli.probe.paired import score_columns
from mscol_cli.probe.scores import ClipScores, read_scores, resampled_pair, write_scores
from tests.helpers.probing import one_hot

FAMILIES, SIZE = 20, 10


def items(*groups: dict[str, str]) -> list[TaskItem]:
    return [TaskItem(str(row), Path(), "test", (0,), of) for row, of in enumerate(groups)]


def families() -> ClipScores:
    """Ten equal clips of each family, with scores that say nothing."""
    rng = np.random.default_rng(0)
    scores = np.repeat(rng.random((1, FAMILIES, 2)), SIZE, axis=1)
    targets = np.repeat(one_hot(list(rng.integers(2, size=FAMILIES)), 2), SIZE, axis=0)
    names = [f"{family}" for family in range(FAMILIES) for _ in range(SIZE)]
    return grouped(
        ClipScores(
            [str(clip) for clip in range(len(names))],
            ("a", "b"),
            scores,
            targets,
            {"test": np.ones(len(names), dtype=bool)},
            {},
        ),
        ClipGroups("artist", tuple(names)),
    )


def grouped(clips: ClipScores, groups: ClipGroups) -> ClipScores:
    """The same clips, drawn by groups."""
    numbers = groups.numbers(range(len(clips.ids)))
    drawn = resample("accuracy", clips.scores, clips.targets, numbers)
    return replace(clips, groups=groups, resampled={("test", "accuracy"): drawn})


def expansion(units: int) -> float:
    """Of a bootstrap with few units: quantiles of t, and n - 1 of n in the variance."""
    return float(
        stats.t.ppf(0.975, units - 1) / stats.norm.ppf(0.975) * np.sqrt(units / (units - 1))
    )


def test_the_kind_with_the_fewest_groups_is_drawn() -> None:
    songs = [{"artist": artist, "song": song} for artist, song in ("ax", "ay", "bz", "bz")]
    assert groups_of(items(*songs)).kind == "artist"
    assert groups_of(items(*songs)).count([0, 1, 2]) == 2


def test_a_clip_without_a_group_is_drawn_on_its_own() -> None:
    found = groups_of(items({"artist": "1"}, {"artist": "1"}, {}, {"artist": ""}, {"artist": ""}))
    assert (found.kind, found.count(range(5))) == ("artist", 4)


@pytest.mark.parametrize("artists", [[], [""] * 4, [*"abcd"]])
def test_clips_are_drawn_without_groups_or_where_groups_say_nothing(artists: list[str]) -> None:
    assert groups_of(items(*({"artist": artist} for artist in artists))) == UNGROUPED


def test_clips_of_one_artist_leave_everything_open() -> None:
    found = groups_of(items(*({"artist": "a", "song": song} for song in "xyz")))
    assert (found.kind, found.count(range(3))) == ("artist", 1)
    one = grouped(families(), ClipGroups("artist", ("a",) * FAMILIES * SIZE))
    drawn = one.resampled["test", "accuracy"]
    assert drawn.interval() == (0, 1)
    paired = difference(drawn, replace(drawn, value=0.9))
    assert (paired.low, paired.high, paired.p) == (-1, 1, 1)


def test_an_interval_over_groups_is_that_of_a_slow_bootstrap_over_them() -> None:
    clips = families()
    low, high = clips.resampled["test", "accuracy"].interval()
    of = np.array(clips.groups.names)
    rng, slow = np.random.default_rng(1), []
    for _ in range(2000):
        drawn = rng.integers(FAMILIES, size=FAMILIES)
        rows = np.concatenate([np.flatnonzero(of == str(family)) for family in drawn])
        slow.append(metrics.accuracy(clips.scores[0][rows], clips.targets[rows]))
    wider = expansion(FAMILIES)
    value = clips.resampled["test", "accuracy"].value
    expected = value + wider * (np.percentile(slow, [2.5, 97.5]) - np.mean(slow))
    assert_allclose((low, high), expected, atol=0.06)  # a family is 0.05


def test_equal_models_rarely_differ_and_the_score_is_covered_with_few_groups() -> None:
    rng, trials, size = np.random.default_rng(0), 150, 10
    groups = np.repeat(np.arange(8), size)
    rejected = covered = 0
    for _ in range(trials):
        targets = one_hot(rng.integers(2, size=len(groups)).tolist(), 2)
        pair = []
        for _ in range(2):  # a model is right at 0.7, more or less so for an artist
            right = rng.random(len(groups)) < (0.7 + rng.uniform(-0.3, 0.3, 8))[groups]
            scores = np.where(right[:, None], targets, ~targets).astype(float)[None]
            pair.append(resample("accuracy", scores, targets, groups, resamples=250))
        rejected += difference(*pair).p < 0.05
        low, high = pair[0].interval()
        covered += low <= 0.7 <= high
    assert rejected < 0.1 * trials
    assert covered > 0.88 * trials


def test_too_few_groups_decide_nothing() -> None:
    one, two = (Resampled(value, np.full(100, value), 5) for value in (0.2, 0.9))
    found = difference(two, one)
    assert (found.low, found.high, found.p) == (-1, 1, 1)
    assert replace(one, units=1).interval() == (0, 1)
    with_six = difference(replace(two, units=6), replace(one, units=6))
    assert with_six.low > 0
    assert with_six.p == 2 / 2**6


def test_a_clear_difference_survives_the_correction_for_many_models() -> None:
    draws = np.random.default_rng(0).normal(0.5, 0.01, (2, 1000))
    near, far = (
        difference(Resampled(0.5 + lead, draws[0] + lead, 400), Resampled(0.5, draws[1], 400)).p
        for lead in (0.02, 0.1)
    )
    assert 0.1 < near < 0.25  # 1.4 standard deviations
    assert far < 2 / 1001
    # Of a t test: 7.1 standard deviations, with 399 degrees of freedom.
    assert far == pytest.approx(2 * stats.t.sf(0.1 / (draws[0] - draws[1]).std(), 399), rel=0.1)
    assert holm([far] * 36)[0] < 0.001


def test_draws_without_a_score_may_be_anything() -> None:
    draws = np.linspace(0.4, 0.6, 1000)
    few, many = (np.where(np.arange(1000) % every, draws, np.nan) for every in (100, 10))
    low, high = Resampled(0.5, few, 100).interval()
    whole = Resampled(0.5, draws, 100).interval()
    assert 0 < low < whole[0] < whole[1] < high < 1
    assert Resampled(0.5, many, 100).interval() == (0, 1)


@pytest.mark.parametrize("names", [["a"], ["a"] * 199 + [1]])
def test_damaged_groups_are_refused(tmp_path: Path, names: Any) -> None:
    clips = families()
    write_scores(tmp_path / "scores", replace(clips, groups=ClipGroups("artist", names)))
    with pytest.raises(UsageError, match=r"damaged \(its groups are not names of groups"):
        read_scores(tmp_path / "scores")


def test_a_result_without_groups_is_paired_by_the_groups_of_the_other(tmp_path: Path) -> None:
    new = families()
    write_scores(tmp_path / "new", new)
    write_scores(tmp_path / "old", grouped(new, UNGROUPED))
    new, old = read_scores(tmp_path / "new"), read_scores(tmp_path / "old")
    assert new.groups == families().groups
    for pair in ((new, old), (old, new)):
        first, second, clips = resampled_pair(*pair, "test", "accuracy")
        assert clips == FAMILIES * SIZE
        assert_allclose(first.draws, second.draws)
        assert_allclose(first.draws, new.resampled["test", "accuracy"].draws)


@pytest.mark.parametrize(("families", "known"), [(MIN_CLIPS - 1, False), (MIN_CLIPS, True)])
def test_a_class_of_few_groups_has_no_interval(families: int, known: bool) -> None:
    targets = one_hot([int(clip >= 2 * families) for clip in range(60)], 2)
    scores = np.random.default_rng(0).random((1, 60, 2))
    column = score_columns({"all": scores}, targets, ["accuracy"], None, np.arange(60) // 2)["all"]
    assert [score is not None and score.low is not None for score in column.classes] == [known] * 2
