"""The result of a probe: its file and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.pages.render import page_markdown
from mscol_cli.probe.notes import collect_notes, result_notes
from mscol_cli.probe.page import result_page
from mscol_cli.probe.result import ClassScore, ProbeResult, Score, ScoredSet, read, write
from mscol_cli.system.values import as_json

RESULT = ProbeResult(
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
            classes=(ClassScore("cello", 0, {"roc_auc": None}),),
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
)


def page(result: ProbeResult) -> str:
    return page_markdown(result_page(result))


def test_the_dictionary_survives_json() -> None:
    found = as_json(RESULT)
    assert json.loads(json.dumps(found)) == found
    assert found["test_sets"][0]["metrics"]["roc_auc"]["per_seed"] == [0.876, 0.877]
    assert found["failures"] == [["12", "truncated"]]
    assert found["options"]["names"] == ["a", "b"]


def test_the_page_holds_score_interval_spread_counts_and_all_left_out() -> None:
    text = page(RESULT)
    assert "| filtered (4 clips) | roc_auc | 0.8765 | 0.8600 to 0.8900 | 0.0012 |" in text
    assert "| test | 4 | 116 |" in text
    for part in ("msa-small-1@300", "filtered test set", "cello", "0/x.mp3", "12: truncated"):
        assert part in text


def test_classes_whose_error_is_in_no_interval_are_named() -> None:
    support = {"piano": 50, "harp": 9, "voice": 393, "cello": 0}
    classes = [ClassScore(name, count, {}) for name, count in support.items()]
    large = replace(RESULT.test_sets[0], clips=400, classes=classes)
    tagged = replace(RESULT, test_sets=[large], multilabel=True)
    (line,) = (note for note in result_notes(tagged) if "lack" in note)
    assert line.endswith("these classes: harp (9), voice (7)")
    small = replace(tagged, test_sets=[replace(large, clips=90)])
    for other in (small, replace(tagged, multilabel=False)):
        assert "lack" not in "".join(result_notes(other))


def test_an_interval_without_width_is_noted() -> None:
    scores = {"macro_f1": Score(1.0, 1.0, 1.0, 0.0, (1.0,)), "accuracy": Score(1.0, 0.4, 1, 0, ())}
    flat = replace(RESULT, test_sets=[replace(RESULT.test_sets[0], metrics=scores)])
    (note,) = (note for note in result_notes(flat) if "no width" in note)
    assert note.endswith(": macro_f1")
    assert note in page(flat)
    assert "no width" not in page(RESULT)


def test_clips_of_one_artist_are_noted() -> None:
    (tested,) = RESULT.test_sets
    alone, two = (
        replace(RESULT, test_sets=[replace(tested, grouped_by="artist", groups=groups)])
        for groups in (1, 2)
    )
    (note,) = (note for note in result_notes(alone) if "resemble" in note)
    assert "filtered (4 clips of 1 artist)" in note
    assert "resemble" not in page(two)


def test_models_with_the_same_missing_audio_share_a_note() -> None:
    short = replace(RESULT, shortfalls={"a.mp3": "1 s shorter", "b.mp3": "2 s shorter"})
    notes = collect_notes([("one", short), ("two", short), ("three", RESULT)])
    (models,) = (
        note.models
        for note in notes
        if note.note == "a part of the audio is missing (2): a.mp3, b.mp3"
    )
    assert models == ("one", "two")


def test_the_page_says_nothing_of_what_did_not_happen() -> None:
    one = replace(
        RESULT.test_sets[0], unscored=(), metrics={"roc_auc": Score(0.5, 0.4, 0.6, 0, (0.5,))}
    )
    text = page(replace(RESULT, failures=(), missing=(), test_sets=(one,), seeds=1))
    assert "missing" not in text
    assert "usable" not in text
    assert "one seed" in text


def test_long_lists_are_cut_and_counted() -> None:
    text = page(replace(RESULT, missing=[f"{clip}.mp3" for clip in range(30)]))
    assert "Audio missing (30)" in text
    assert "19.mp3" in text
    assert "20.mp3" not in text
    assert "and 10 more" in text


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    result = replace(RESULT, folder=tmp_path)
    write(result)
    found = read(tmp_path)
    assert as_json(found) == as_json(result)
    assert found.folder == tmp_path
    assert found.test_sets == result.test_sets
    assert "folder" not in json.loads((tmp_path / "probe.json").read_text())


def test_a_field_of_another_mscol_is_ignored_and_one_it_lacks_has_its_default(
    tmp_path: Path,
) -> None:
    content = as_json(RESULT)
    del content["notes"]
    (tmp_path / "probe.json").write_text(json.dumps({**content, "new": 1}))
    found = read(tmp_path)
    assert found.notes == ()
    assert found.missing == ("0/x.mp3",)


@pytest.mark.parametrize(
    "change",
    [{"test_sets": [{"name": "test"}]}, {"seeds": "two"}, {"counts": 3}, {"test_sets": {"a": 1}}],
)
def test_a_damaged_result_is_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / "probe.json").write_text(json.dumps({**as_json(RESULT), **change}))
    with pytest.raises(UsageError, match=r"probe\.json is damaged \(.*\): probe again"):
        read(tmp_path)


def test_no_result_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="not a result of a probe"):
        read(tmp_path)
