"""bench/rehearsal.py: data sets as the real ones are, and no clip of them lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from bench.rehearsal import main
from tests.conftest import Command


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearsal")


@pytest.fixture(scope="module")
def page(rehearsed: Path) -> str:
    """The chain's table."""
    docs = rehearsed / "page.md"
    docs.write_text("before\n<!-- rehearsal: begin -->\nold\n<!-- rehearsal: end -->\nafter\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(rehearsed)
        assert main([str(rehearsed / "all"), "--smoke", "--docs", str(docs)]) == 0
    return docs.read_text()


@pytest.mark.slow
def test_every_clip_is_counted_through_the_whole_chain(page: str) -> None:
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "old" not in page
    assert page.count("every count is as expected") == 3
    # Six known bad files: three without audio and one of half a second fail, two are short.
    assert "| fma | listed | 32 | 16 | 16 |" in page
    assert "| fma | in the store (4 failed) |" in page
    assert "| mtat | in the store (3 failed) |" in page
    assert "fma, failed: data/fma/fma_small/099/099134.mp3: " in page


@pytest.mark.slow
def test_metadata_has_the_columns_and_fields_of_the_real_sets(rehearsed: Path, page: str) -> None:
    data = rehearsed / "all" / "data"
    with (data / "fma/fma_metadata/tracks.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {53}
    assert len(rows) == 3 + 400
    header = (data / "mtat/annotations_final.csv").read_text().partition("\n")[0].split("\t")
    assert len(header) == 1 + 188 + 1
    notes = json.loads((data / "nsynth/nsynth-valid/examples.json").read_text())
    assert {len(note) for note in notes.values()} == {13}


@pytest.mark.slow
def test_a_clip_that_is_lost_ends_with_exit_code_1(
    rehearsed: Path, page: str, mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    report = rehearsed / "all/probes/nsynth-trained/probe.json"
    text = report.read_text()
    content = json.loads(text)
    content["counts"]["test"] -= 1
    report.write_text(json.dumps(content))
    try:
        assert main([str(rehearsed / "all"), "--smoke", "--only", "nsynth"]) == 1
    finally:
        report.write_text(text)
    assert "off: nsynth: trained: test clips: " in capsys.readouterr().err


@pytest.mark.slow
def test_a_folder_made_with_other_arguments_is_refused(rehearsed: Path, page: str) -> None:
    with pytest.raises(SystemExit, match="made with other arguments"):
        main([str(rehearsed / "all"), "--fraction", "0.2"])
