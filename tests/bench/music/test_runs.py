"""Scores of runs that are kept in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.music.results import main, read_claim
from bench.music.runs import Run, check_clips, keep, read_kept
from mscol_cli.probe.bootstrap import Difference, Resampled

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
