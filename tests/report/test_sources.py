"""Runs that learned from different sources, side by side in a report."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from mscol_cli.probe.bootstrap import difference, resample
from mscol_cli.probe.scores import read_scores
from mscol_cli.synthetic import Collection
from tests.conftest import Command, run_in

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("draft_pictures")]

HEADING = "## Scores by training source"
SMALL = ("--encoder", "small", "--steps", 4, "--batch-size", 8, "--device", "cpu")


@pytest.fixture(scope="module")
def made(collection: Collection, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`runs/`: MSA on all sources, on vocals and on drums, and COLA; each probed on fma."""
    root = tmp_path_factory.mktemp("sources")
    shutil.copytree(collection.fma, root / "data" / "fma")
    options = {"all": (), "drums": ("--stems", "drums"), "vocals": ("--stems", "vocals")}
    for name, stems in options.items():
        line = ("pretrain", store, "--objective", "msa", *stems, *SMALL, "-o", f"runs/{name}")
        run_in(root, line)
    run_in(root, ("pretrain", store, "--objective", "cola", *SMALL, "-o", "runs/cola"))
    models = [word for name in (*options, "cola") for word in ("--model", f"runs/{name}")]
    run_in(root, ("probe", "fma", *models, "--seeds", 2))
    return root


@pytest.fixture
def study(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, to spoil, as the working folder."""
    shutil.copytree(made, tmp_path / "study", symlinks=True)
    monkeypatch.chdir(tmp_path / "study")
    return tmp_path / "study"


def report(mscol: Command, study: Path, *runs: str) -> str:
    lines = [study / "runs" / run for run in runs] or [study]
    assert mscol("report", *lines, "-o", study / "out", "--neighbours", 0) == 0
    return (study / "out" / "report.md").read_text()


def test_models_are_compared_with_that_of_all_sources_on_the_same_clips(
    mscol: Command, study: Path
) -> None:
    page = report(mscol, study)
    section = page.partition(HEADING)[2].partition("\n## ")[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "| metric | all sources | drums | vocals |" in section
    assert "cola" not in section
    kept = {
        name: read_scores(study / f"runs/{name}/probes/fma/scores.safetensors")
        for name in ("all", "vocals")
    }
    drawn = {name: resample("accuracy", one.scores, one.targets) for name, one in kept.items()}
    found = difference(drawn["vocals"], drawn["all"])
    row = next(line for line in section.splitlines() if line.startswith("| accuracy"))
    told = re.sub(r"\\", "", row)
    assert f"({found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}])" in told
    classes = json.loads((study / "runs/vocals/probes/fma/probe.json").read_text())
    scored = [one for one in classes["test_sets"][0]["classes"] if one["roc_auc"] is not None]
    for one in scored:
        row = next(line for line in section.splitlines() if line.startswith(f"| {one['name']} "))
        assert re.search(rf"\| {one['roc_auc']:.3f}\S* \|$", row)
    assert (study / "out" / "pictures" / "sources-fma.png").stat().st_size > 5000


def test_runs_of_the_same_sources_have_no_such_section(mscol: Command, study: Path) -> None:
    assert HEADING not in report(mscol, study, "all", "cola")
    assert HEADING in report(mscol, study, "all", "drums")


def test_scores_without_those_of_clips_are_named_and_the_rest_is_reported(
    mscol: Command, study: Path
) -> None:
    (study / "runs/drums/probes/fma/scores.safetensors").unlink()
    page = report(mscol, study)
    assert "Not compared by training source: fma" in page
    assert "## Probe scores" in page
