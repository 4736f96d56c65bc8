"""The report of a probe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mscol_cli.pages.markdown import markdown_table
from mscol_cli.probe.markdown import summary_dict, summary_markdown
from mscol_cli.probe.result import ProbeResult, Score, ScoredSet

SUMMARY = ProbeResult(
    task="mtat",
    data="data/mtat",
    options={"names": ("a", "b")},
    protocol={"select": "average_precision"},
    recipe="smc23",
    model="msa-small-1@300",
    model_hash="abc",
    model_step=300,
    seeds=2,
    test_sets=(
        ScoredSet(
            "filtered",
            4,
            {"roc_auc": Score(0.87654, 0.86, 0.89, 0.0012, (0.876, 0.877))},
            unscored=("cello",),
        ),
    ),
    counts={"train": 10, "valid": 3, "test": 4},
    windows={"train": 290, "valid": 87, "test": 116},
    classes=("guitar", "cello"),
    best_epochs=(3, 9),
    missing=("0/x.mp3",),
    failures=(("12", "truncated"),),
    notes=("filtered test set: 4 clips",),
    seconds={"embeddings": 1.5},
    json_path=Path("report/probe.json"),
    markdown_path=Path("report/probe.md"),
)


def test_the_dictionary_survives_json() -> None:
    found = summary_dict(SUMMARY)
    assert json.loads(json.dumps(found)) == found
    assert found["test_sets"][0]["metrics"]["roc_auc"]["per_seed"] == [0.876, 0.877]
    assert found["failures"] == [["12", "truncated"]]
    assert found["options"]["names"] == ["a", "b"]


def test_the_page_holds_score_interval_spread_counts_and_all_left_out() -> None:
    page = summary_markdown(SUMMARY)
    assert "| filtered (4 clips) | roc_auc | 0.8765 | 0.8600 to 0.8900 | 0.0012 |" in page
    assert "| test | 4 | 116 |" in page
    for text in ("msa-small-1@300", "filtered test set", "cello", "0/x.mp3", "12: truncated"):
        assert text in page


def test_the_page_says_nothing_of_what_did_not_happen() -> None:
    one = replace(
        SUMMARY.test_sets[0], unscored=(), metrics={"roc_auc": Score(0.5, 0.4, 0.6, 0, (0.5,))}
    )
    page = summary_markdown(replace(SUMMARY, failures=(), missing=(), test_sets=(one,), seeds=1))
    assert "missing" not in page
    assert "usable" not in page
    assert "one seed" in page


def test_long_lists_are_cut_and_counted() -> None:
    page = summary_markdown(replace(SUMMARY, missing=[f"{clip}.mp3" for clip in range(30)]))
    assert "Audio missing (30)" in page
    assert "19.mp3" in page
    assert "20.mp3" not in page
    assert "and 10 more" in page


def test_cells_cannot_break_the_table() -> None:
    assert markdown_table(("a|b", "c"), [("<i>x", "y\nz")]).splitlines() == [
        "| a\\|b | c |",
        "| --- | ---: |",
        "| \\<i>x | y z |",
    ]
