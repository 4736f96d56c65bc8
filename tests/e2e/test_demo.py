"""The demo: every command line it prints was run, and its table says what the reports say."""

import json
from pathlib import Path

import pytest

from mscol_cli.store import Store
from tests.conftest import Command

SONGS = 16
SMALL = ["--songs", SONGS, "--steps", 3, "--seeds", 1]


@pytest.mark.slow
def test_the_demo_runs_the_four_commands_and_compares(
    mscol: Command, bundled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("demo", "-o", "kept", *SMALL) == 0
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("$ mscol ")]
    assert [line.split()[2] for line in lines] == ["separate", "pretrain", "embed", *["probe"] * 12]
    assert "--separator openunmix --model mini" in lines[0]
    assert Store.open(Path("kept/data/mtat.store")).header.separator.passport["model"] == "mini"
    heard = Path("kept/runs/demo/tracks.txt").read_text().splitlines()
    assert 0 < len(heard) < SONGS  # the clips that are tested on are not among them
    table = captured.out[captured.out.rindex("pre-trained") :]
    probed = [
        f"{folder}/{task}"
        for folder in ("runs/demo/probes", "probes/untrained", "probes/logmel", "probes/mini")
        for task in ("mtat", "fma", "nsynth")
    ]
    for name in probed:
        report = json.loads(Path(f"kept/{name}/probe.json").read_text())
        headline = next(iter(report["test_sets"][0]["metrics"].values()))
        assert f"{headline['value']:.3f} [{headline['low']:.3f}, {headline['high']:.3f}]" in table
    for made in (
        "data/mtat.store",
        "runs/demo",
        "embeddings.npz",
        "probes/untrained",
        "probes/logmel",
        "probes/mini",
    ):
        assert (tmp_path / "kept" / made).exists()
        assert made in table

    # Again: the music, the store and the run are there, and nothing is in the way.
    assert mscol("demo", "-o", "kept", *SMALL, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert {score["task"] for score in result["scores"]} == {"mtat", "fma", "nsynth"}
    assert all(len(score["mini"]) == 3 for score in result["scores"])


def test_a_folder_of_other_things_is_refused(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept" / "data").mkdir(parents=True)
    (tmp_path / "kept" / "data" / "mine.txt").write_text("mine")
    assert mscol("demo", "-o", "kept", *SMALL) == 2
    assert "data " in capsys.readouterr().err
    assert (tmp_path / "kept" / "data" / "mine.txt").read_text() == "mine"
