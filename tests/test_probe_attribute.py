"""Stems of test clips tested alone, out of a store that `separate` made of the same files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.synthetic import Collection
from tests.conftest import Command

MODEL = ("--model", "untrained", "--encoder", "small", "--seeds", 1)
RESULT = Path("probes/untrained-small-mtat-attribute")


@pytest.fixture
def stems(mscol: Command, collection: Collection, tmp_path: Path) -> Path:
    """`data/mtat`, and the store of its estimated stems."""
    shutil.copytree(collection.mtat, tmp_path / "data" / "mtat")
    separator = ("--separator", "openunmix", "--model", "mini")
    assert mscol("separate", "data/mtat", *separator) == 0
    return tmp_path / "data" / "mtat.store"


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "probe.json").read_text())
    return found


def test_every_source_is_scored_alone_class_by_class(
    mscol: Command, stems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("probe", "mtat", *MODEL, "--attribute") == 0
    found = report(tmp_path / RESULT)
    whole, *alone = found["stems"]
    assert whole["test_sets"] == found["test_sets"]
    assert [one["source"] for one in alone] == ["mixture", "vocals", "drums", "bass", "other"]
    assert len(alone[1]["test_sets"][0]["classes"]) == len(found["classes"])
    assert alone[1]["losses"][0]["clips"] == found["test_sets"][0]["clips"]
    # The mixture went through 16 bits on its way to the store, and through nothing else.
    assert abs(alone[0]["losses"][0]["loss"]) < 0.05
    page = capsys.readouterr().out
    assert "| class | test clips | whole clip | mixture alone | vocals alone |" in page
    assert "| drums alone | filtered | roc_auc |" in page


def test_clips_are_found_by_content_where_they_have_other_names(
    mscol: Command, stems: Path, tmp_path: Path
) -> None:
    assert mscol("probe", "mtat", *MODEL, "--attribute") == 0
    before = report(tmp_path / RESULT)["stems"]
    table = tmp_path / "data/mtat/annotations_final.csv"
    text = table.read_text()
    for clip in sorted((tmp_path / "data" / "mtat").glob("[def]/*.mp3")):
        clip.rename(clip.with_name(f"x{clip.name}"))
        text = text.replace(f"/{clip.name}", f"/x{clip.name}")
    table.write_text(text)
    assert mscol("probe", "mtat", *MODEL, "--stems", stems, "-o", "again") == 0
    after = report(tmp_path / "again")["stems"]
    scores = [[one["test_sets"][0]["metrics"] for one in stems] for stems in (before, after)]
    assert scores[0] == scores[1]


def test_a_store_without_the_test_clips_is_refused_before_anything_is_trained(
    mscol: Command, stems: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("probe", "mtat", *MODEL, "--stems", store) == 4
    assert "holds none of the" in capsys.readouterr().err
    assert mscol("probe", "mtat", *MODEL, "--stems", "gone.store") == 4
    assert mscol("probe", "mtat", *MODEL, "--attribute", "--finetune") == 2
    assert not Path("probes").exists()
