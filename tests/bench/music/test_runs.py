"""Scores of runs that are kept in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.music.convergence import Point, keep_points
from bench.music.results import main, read_claim
from bench.music.runs import Run, add_probe, check_clips, keep, read_kept
from mscol_cli.probe.bootstrap import Difference, Resampled, resample
from mscol_cli.probe.result import ProbeResult, Score, ScoredSet, write
from mscol_cli.probe.scores import ClipScores, write_scores

KEY = ("nsynth", "test", "accuracy")


def run(name: str, value: float, clips: str = "a") -> Run:
    draws = np.random.default_rng(0).normal(value, 0.01, 1000)
    scores = {KEY: Resampled(value, draws, 400)}
    return Run(name, 2000, 300.0, scores, {}, {"nsynth": value}, {"nsynth": clips}, {KEY: 0.1})


def test_a_kept_run_has_the_same_scores(tmp_path: Path) -> None:
    one = run("msa-bass-0", 0.4)
    keep(tmp_path, [one])
    kept = read_kept(tmp_path)["msa-bass-0"]
    assert (kept.row, kept.steps, kept.pairs_per_second) == ("msa-bass", 2000, 300.0)
    assert (kept.valid, kept.clips, kept.chance) == (one.valid, one.clips, one.chance)
    assert kept.scores[KEY].value == 0.4
    assert np.allclose(kept.scores[KEY].draws, one.scores[KEY].draws, atol=1e-7)


def test_kept_runs_of_other_days_are_in_the_table(tmp_path: Path) -> None:
    keep(tmp_path / "kept", [run("cola-0", 0.4), run("cola-1", 0.5), run("logmel", 0.3)])
    main(["--kept", str(tmp_path / "kept"), "-o", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    assert "| cola | two crops of the mixture | cola | 2 | 2,000 | 300 |" in text
    assert "| cola | - | - | 0.450 [" in text
    assert "| chance | - | - | 0.100 |" in text


def test_kept_points_of_other_days_are_on_the_page(tmp_path: Path) -> None:
    keep(tmp_path / "kept", [run("cola-0", 0.4)])
    for step, score in ((1000, 0.35), (500, 0.3)):
        keep_points(tmp_path / "kept", [Point("main/cola-0", KEY, step, score)])
    main(["--kept", str(tmp_path / "kept"), "-o", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    assert "| run | score | 500 | 1,000 |" in text
    assert "| main/cola-0 | instruments | 0.300 | 0.350 |" in text


def write_probe(folder: Path, *test_sets: str) -> Path:
    """A probe of 40 clips with two tags, which were all scored in each test set."""
    targets = np.random.default_rng(0).random((40, 2)) < 0.5
    scores = np.random.default_rng(1).random((1, 40, 2))
    members = {name: np.ones(40, dtype=bool) for name in test_sets}
    drawn = {(name, "roc_auc"): resample("roc_auc", scores, targets) for name in test_sets}
    clips = ClipScores(
        [str(n) for n in range(40)], ("piano", "harp"), scores, targets, members, drawn
    )
    metrics = {"roc_auc": Score(0.5, 0.4, 0.6, 0.0, (0.5,))}
    counts = {"train": 40, "valid": 40, "test": 40}
    result = ProbeResult(
        *("mtat", "data/mtat", {}, {}, "", "cola-0", "abc", 2000, 1),
        test_sets=[ScoredSet(name, 40, metrics) for name in test_sets],
        counts=counts,
        windows=counts,
        classes=clips.classes,
        folder=folder,
    )
    folder.mkdir()
    write(result)
    write_scores(result.scores_path, clips)
    return folder


def test_one_test_set_of_tags_compares_with_the_two_of_earlier_probes(tmp_path: Path) -> None:
    earlier, now = Run("cola-0"), Run("cola-1")
    add_probe(earlier, write_probe(tmp_path / "earlier", "filtered", "unfiltered"))
    add_probe(now, write_probe(tmp_path / "now", "test"))
    check_clips([earlier, now])
    key = ("mtat", "filtered", "roc_auc")
    assert earlier.scores.keys() == now.scores.keys()
    np.testing.assert_array_equal(earlier.scores[key].draws, now.scores[key].draws)


def test_runs_on_other_test_clips_are_refused() -> None:
    check_clips([run("cola-0", 0.4), run("msa-0", 0.4)])
    with pytest.raises(SystemExit, match="cola-0 and msa-0 have other clips or classifiers"):
        check_clips([run("cola-0", 0.4), run("msa-0", 0.4, clips="b")])


@pytest.mark.parametrize(
    ("tests", "readings"),
    [
        ([[(0.02, 0.001), (0.01, 0.4)]], ["holds"]),
        ([[(-0.02, 0.001), (0.01, 0.4)]], ["does not hold"]),
        ([[(0.02, 0.001), (-0.02, 0.001)]], ["mixed"]),
        ([[(0.02, 0.03), (0.01, 0.4)]], ["cannot tell"]),  # 0.03 is one of two tests
        ([[(0.02, 0.03)], [(0.02, 0.001)]], ["holds", "holds"]),
        ([[(0.02, 0.03)], [(0.02, 0.2)]], ["cannot tell", "cannot tell"]),
        ([[]], ["cannot tell"]),
    ],
)
def test_a_claim_is_read_from_corrected_tests(
    tests: list[list[tuple[float, float]]], readings: list[str]
) -> None:
    pairs = [[None, *(Difference(value, -1, 1, p) for value, p in pair)] for pair in tests]
    assert read_claim(pairs) == readings
