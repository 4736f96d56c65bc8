"""`probe --attribute`: what the encoder knows from each source alone, through the command line."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.synthetic import Collection
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.plugins import install_plugin

Capture = pytest.CaptureFixture[str]
ECHO = """
from mscol_cli.api import MIXTURE, Separator, SeparatorCard, hookimpl


class Echo(Separator):
    sources = ("copy", "nothing")

    def separate(self, audio):
        mixture = audio[MIXTURE]
        return {MIXTURE: mixture, "copy": mixture, "nothing": 0 * mixture}


@hookimpl
def mscol_separators():
    card = SeparatorCard(name="echo", summary="a copy, and silence", build=lambda _, __: Echo())
    return [card]
"""


@pytest.fixture
def fma(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mscol: Command
) -> Path:
    """`data/fma`, and `data/fma.store` with a source that is the mixture and one that is silent."""
    install_plugin("echo_plugin", ECHO, tmp_path / "site", monkeypatch)
    folder = Path(shutil.copytree(collection.fma, tmp_path / "data" / "fma"))
    pair_artists(folder / "fma_metadata" / "tracks.csv")
    assert mscol("separate", "data/fma", "--separator", "echo") == 0
    return folder


def pair_artists(table: Path) -> None:
    """Give every second track the artist of the one before."""
    rows = list(csv.reader(table.read_text().splitlines()))
    column = list(zip(rows[0], rows[1], strict=True)).index(("artist", "id"))
    of_split = sorted(rows[3:], key=lambda row: row[rows[1].index("split")])
    for first, second in zip(of_split[::2], of_split[1::2], strict=True):
        second[column] = first[column]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def probe(mscol: Command, model: Path, *options: object) -> int:
    return mscol(
        "probe", "fma", "--model", model, "--seeds", 2, "--attribute", "-o", "out", *options
    )


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "probe.json").read_text())
    return found


def clips_of_test(fma: Path) -> list[Path]:
    table = (fma / "fma_metadata" / "tracks.csv").read_text().splitlines()
    ids = {line.split(",")[0] for line in table if ",test," in line}
    return [path for path in sorted(fma.rglob("*.mp3")) if path.stem.lstrip("0") in ids]


@pytest.mark.slow
def test_a_source_that_is_the_mixture_scores_as_it_and_silence_tells_nothing(
    mscol: Command, fma: Path, trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert probe(mscol, trained) == 0
    found = report(tmp_path)
    attribution = found["attribution"]
    mixture, copy, nothing = attribution["sources"]
    assert [one["name"] for one in attribution["sources"]] == ["mixture", "copy", "nothing"]
    assert attribution["clips"] == found["test_sets"][0]["clips"] == sum(attribution["support"])
    whole = found["test_sets"][0]["metrics"]["accuracy"]
    for name in ("value", "low", "high"):
        assert mixture["scores"]["accuracy"][name] == whole[name]
    assert (attribution["grouped_by"], attribution["groups"]) == ("artist", 2)
    assert (mixture["silent"], nothing["silent"]) == (0, attribution["clips"])
    for row, score in enumerate(copy["classes"]):
        if score is None:
            assert attribution["support"][row] in (0, attribution["clips"])
            continue
        assert score["difference"] == pytest.approx(0, abs=0.02)
        assert nothing["classes"][row]["value"] == 0.5
        expected = 0.5 - mixture["classes"][row]["value"]
        assert nothing["classes"][row]["difference"] == pytest.approx(expected)
    page = (tmp_path / "out" / "probe.md").read_text()
    assert "| roc_auc of | clips | mixture | copy | nothing |" in page
    assert page.strip() in capsys.readouterr().out
    assert (tmp_path / "out" / "sources.png").stat().st_size > 5000


@pytest.mark.slow
def test_clips_that_the_store_lacks_or_has_of_other_audio_are_left_out_on_both_sides(
    mscol: Command, fma: Path, trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    gone, changed, *rest = clips_of_test(fma)
    subset = Path(shutil.copytree(fma, tmp_path / "subset"))
    (subset / gone.relative_to(fma)).unlink()
    path = subset / changed.relative_to(fma)
    write_audio(path.with_suffix(".wav"), tones(3.0)).rename(path)
    assert mscol("separate", subset, "--separator", "echo") == 0
    assert probe(mscol, trained, "--stems", "subset.store") == 0
    found = report(tmp_path)
    attribution = found["attribution"]
    assert attribution["clips"] == len(rest) == found["test_sets"][0]["clips"] - 2
    reasons = [reason for _, reason in attribution["left_out"]]
    assert sorted(reasons) == [
        "the store has no track of this path",
        "the track in the store was made from other audio",
    ]
    assert "skipped 2 test clips" in capsys.readouterr().err


@pytest.mark.slow
def test_without_output_the_result_does_not_replace_that_of_a_plain_probe(
    mscol: Command, fma: Path, trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "runs" / "mine"))
    assert mscol("probe", "fma", "--model", run, "--seeds", 1, "--attribute") == 0
    assert (run / "probes" / "fma-attribute" / "probe.json").is_file()


@pytest.mark.slow
def test_another_store_is_no_finished_result_to_reuse(
    mscol: Command, fma: Path, trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "runs" / "mine"))
    line = ("probe", "fma", "--model", run, "--seeds", 1, "--attribute", "--reuse", "-o", "out")
    shutil.copytree(tmp_path / "data" / "fma.store", tmp_path / "b.store")
    for stems, reused in ((), False), ((), True), (("--stems", "b.store"), False):
        assert mscol(*line, *stems) == 0
        assert ("reused from" in capsys.readouterr().err) == reused


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("fma", "--stems", "x.store"), 2, "--attribute"),
        (("fma", "--attribute", "--stems", "x.store"), 4, "x.store"),
        (("fma", "--attribute", "--stems", "none.store"), 2, "none.store"),
        (("fma", "--attribute", "--stems", "other.store"), 2, "holds none of the"),
        (("fma", "mtat", "--attribute", "--stems", "x.store"), 2, "--stems"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_before_any_work(
    options: tuple[str, ...],
    code: int,
    message: str,
    mscol: Command,
    fma: Path,
    trained: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    write_audio(tmp_path / "other" / "a.wav", tones(2.0))
    mscol("separate", "other", "--separator", "none", "-o", "none.store")
    mscol("separate", "other", "--separator", "echo")
    capsys.readouterr()
    assert mscol("probe", *options, "--model", trained, "-o", "out") == code
    told = capsys.readouterr().err
    assert message in told
    assert "embedding" not in told
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_report_shows_scores_by_source_and_counts_a_model_once(
    mscol: Command, fma: Path, trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "runs" / "mine"))
    line = ("probe", "fma", "--model", run, "--seeds", 1)
    assert mscol(*line) == mscol(*line, "--attribute") == 0
    assert mscol("report", run, "-o", "page", "--neighbours", 0) == 0
    page = (tmp_path / "page" / "report.md").read_text()
    section = page.partition("## Scores by source")[2].partition("\n## ")[0]
    assert all(f"\n| {name} |" in section for name in ("mixture", "copy", "nothing"))
    assert (tmp_path / "page/pictures/heard-mine-6-fma-attribute.png").stat().st_size > 5000
    scores = page.partition("## Probe scores")[2].partition("\n## ")[0]
    assert scores.count("\n| mine@6 |") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("draft_pictures")
def test_the_command_on_a_report_scores_the_same_sources_again(
    mscol: Command, fma: Path, trained: Path, tmp_path: Path
) -> None:
    assert mscol("separate", fma, "--separator", "echo", "-o", tmp_path / "stems.store") == 0
    assert probe(mscol, trained, "--stems", tmp_path / "stems.store") == 0
    assert mscol("report", trained, "--probes", "out", "--neighbours", 0, "-o", "page") == 0
    commands = (tmp_path / "page" / "report.md").read_text().rpartition("```bash")[2]
    lines = [shlex.split(line)[1:] for line in commands.splitlines() if "--attribute" in line]
    line = next(one for one in lines if one[-1] == "out-again")
    line[line.index("--model") + 1] = str(trained)
    assert mscol(*line) == 0
    again = json.loads((tmp_path / "out-again" / "probe.json").read_text())
    assert again["attribution"] == report(tmp_path)["attribution"]
    assert any("stems.store" in one for one in commands.splitlines() if " separate " in one)
