"""A report says what runs and probes left on disk, and nothing of it leads elsewhere."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile

from mscol_cli.store.segments import SAMPLE_RATE, SEGMENT
from tests.conftest import Command, run_in
from tests.helpers.files import digest
from tests.helpers.report import HOSTILE, edit_json, make_study

pytestmark = pytest.mark.usefixtures("draft_pictures")
PROBE = "probes/folder-epochs=3"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study, made once."""
    root = tmp_path_factory.mktemp("study")

    def run(*arguments: object) -> int:
        run_in(root, arguments)
        return 0

    return make_study(root, run)


@pytest.fixture
def study(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study, to spoil, as the working folder."""
    shutil.copytree(made, tmp_path / "study", symlinks=True)
    monkeypatch.chdir(tmp_path / "study")
    return tmp_path / "study"


def pages() -> tuple[str, str]:
    """The report as HTML and as Markdown."""
    html, markdown = Path("report/report.html"), Path("report/report.md")
    return html.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_shows_what_probes_and_training_came_to(mscol: Command, study: Path) -> None:
    assert mscol("report", study, "-o", study / "report") == 0
    html, markdown = (study / f"report/report.{kind}" for kind in ("html", "md"))
    result = json.loads((study / "runs/first" / PROBE / "probe.json").read_text())
    accuracy = result["test_sets"][0]["metrics"]["accuracy"]
    interval = f"[{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
    for heading in ("Probe scores", "Training", "Nearest neighbours", "Settings", "Data"):
        assert f"<h2>{heading}</h2>" in html.read_text()
        assert f"## {heading}\n" in markdown.read_text()
    assert interval in html.read_text().replace("\N{NO-BREAK SPACE}", " ")
    row = next(line for line in markdown.read_text().splitlines() if line.startswith("| first@4"))
    assert interval in row.replace("\\", "")
    assert "untrained-small" in markdown.read_text()


@pytest.mark.slow
def test_nothing_on_the_page_is_elsewhere(mscol: Command, study: Path) -> None:
    assert mscol("report", study / "runs", "-o", study / "report") == 0
    html = (study / "report/report.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(links) > 10
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "<script" not in html
    markdown = (study / "report/report.md").read_text()
    for link in re.findall(r"(?<!\\)\]\(([^)]+)\)", markdown):
        assert (study / "report" / link).is_file(), link


@pytest.mark.slow
def test_names_from_data_are_no_markup(mscol: Command, study: Path) -> None:
    assert mscol("report", study / "runs/first", "-o", study / "report", "--neighbours", 9) == 0
    html = (study / "report/report.html").read_text()
    name = HOSTILE.removesuffix(".wav")
    assert "<img src=http" not in html
    assert "&lt;img src=http" in html
    markdown = (study / "report/report.md").read_text()
    assert name not in markdown
    assert r"\<img src=http:x onerror=alert(1)\>\|\`\*" in markdown


@pytest.mark.slow
def test_every_picture_is_described_and_every_header_has_a_scope(
    mscol: Command, study: Path
) -> None:
    assert mscol("report", study, "-o", study / "report") == 0
    html = (study / "report/report.html").read_text()
    pictures = re.findall(r"<img[^>]*>", html)
    assert pictures
    assert all(re.search(r'alt="[^"]{30,}"', picture) for picture in pictures)
    assert all("scope=" in cell for cell in re.findall(r"<th[ >][^>]*>", html))
    assert '<html lang="en">' in html


@pytest.mark.slow
def test_the_commands_on_the_page_make_the_same_weights_and_scores(
    mscol: Command, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    edit_json(study / "runs/first/run.json", store=_here(study))
    assert mscol("report", "first") == 0
    code = pages()[1].rpartition("```bash\n")[2].partition("```")[0]
    lines = [shlex.split(line)[1:] for line in code.splitlines()]
    assert [line[0] for line in lines] == ["separate", "pretrain", "probe"]
    assert lines[0][:4] == ["separate", str(study / "data/music"), "--separator", "none"]
    for line in lines[1:]:
        assert mscol(*line) == 0
    weights = "checkpoints/step-00000004/encoder.safetensors"
    first, again = (Path("runs", run) for run in ("first", "first-again"))
    assert digest(first / weights) == digest(again / weights)
    scores = [json.loads((run / PROBE / "probe.json").read_text()) for run in (first, again)]
    assert scores[0]["test_sets"] == scores[1]["test_sets"]


@pytest.mark.slow
def test_the_command_of_a_store_has_its_precision_and_says_which_weights_are_local(
    mscol: Command, study: Path
) -> None:
    passport = {"model": "folder tiny", "vocals sha256": "ab" * 32, "precision": "bf16"}
    separator = {"name": "openunmix", "options": {"niter": 0}, "passport": passport}
    for model, option in (("folder tiny", "PATH"), ("umxl", "umxl")):
        separator["passport"] = {**passport, "model": model}
        edit_json(study / "data/music.store/store.json", separator=separator)
        edit_json(study / "runs/first/run.json", store=_here(study))
        assert mscol("report", study / "runs/first", "--neighbours", 0) == 0
        page = pages()[1]
        assert f"--separator openunmix --model {option} --precision bf16 --opt niter=0" in page
        assert ("folder tiny (vocals sha256 abababababab" in page) == (option == "PATH")


@pytest.mark.slow
def test_models_of_one_name_are_told_apart_and_commands_name_the_data_of_a_study_elsewhere(
    mscol: Command, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(study / "runs/first" / PROBE, study / "found")
    edit_json(study / "found/probe.json", model="untrained-small", model_hash="0a1b2c3d")
    monkeypatch.chdir(study.parent)
    options = ["--probes", "study/found", "--neighbours", 0, "--no-audio", "-o", "report"]
    assert mscol("report", "study", *options) == 0
    page = pages()[1]
    assert "untrained-small (0a1b2c)" in page
    assert len(set(re.findall(r"untrained-small \([0-9a-f]{6}\)", page))) == 2
    probes = [line for line in page.splitlines() if line.startswith("mscol probe ")]
    assert all(" --data study/data/folder " in line for line in probes)


def _here(study: Path) -> dict[str, Any]:
    held = json.loads((study / "runs/first/run.json").read_text())["store"]
    return {**held, "path": str(study / "data/music.store")}


@pytest.mark.slow
def test_sound_can_be_left_out(mscol: Command, study: Path) -> None:
    assert mscol("report", study / "runs/first", "-o", study / "report", "--no-audio") == 0
    html = (study / "report/report.html").read_text()
    assert "Nearest neighbours" in html
    assert "<audio" not in html
    assert not (study / "report/sounds").exists()


@pytest.mark.slow
def test_excerpts_are_sounds_of_the_store(mscol: Command, study: Path) -> None:
    assert mscol("report", study / "runs/first", "-o", study / "report", "--neighbours", 1) == 0
    excerpts = sorted((study / "report/sounds").iterdir())
    assert len(excerpts) == 4  # the query, and three others
    samples, rate = soundfile.read(excerpts[0])
    assert (rate, len(samples)) == (SAMPLE_RATE, SEGMENT)
    assert abs(samples).max() > 0.9


@pytest.mark.slow
def test_neighbours_are_tracks_that_the_run_was_trained_on(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "runs/first/tracks.txt").write_text("1\n3\n")
    assert mscol("report", study / "runs/first", "--neighbours", 1, "--no-audio") == 0
    neighbours = pages()[1].partition("## Nearest neighbours")[2].partition("\n## ")[0]
    assert set(re.findall(r"(\S+), from \d", neighbours)) == {"1", "3"}
    edit_json(study / "runs/first/run.json", store={**_here(study), "hash": "0" * 64})
    assert mscol("report", study / "runs/first", "--neighbours", 1, "--no-audio") == 0
    assert re.search(r"no neighbours of first: .*music\.store", capsys.readouterr().err)
    assert "## Nearest neighbours" not in pages()[1]


@pytest.mark.slow
def test_classes_and_confusions_are_shown_where_a_probe_has_them(
    mscol: Command, study: Path
) -> None:
    path = study / "runs/first" / PROBE / "probe.json"
    (one,) = json.loads(path.read_text())["test_sets"]
    classes = [
        {"name": "low|", "support": 3, "roc_auc": 0.75, "average_precision": 0.5},
        {"name": "high", "support": 0, "roc_auc": None, "average_precision": None},
    ]
    edit_json(path, test_sets=[{**one, "classes": classes, "confusion": [[3, 1], [0, 2]]}])
    assert mscol("report", study / "runs/first", "-o", study / "report") == 0
    markdown = (study / "report/report.md").read_text()
    assert r"| low\| | 3 | 0.500 (0.750) |" in markdown
    assert "| high | 0 | - |" in markdown
    assert "83% of" in markdown
    assert list((study / "report/pictures").glob("confusion-*.png"))


@pytest.mark.slow
def test_models_are_compared_on_the_same_clips(mscol: Command, study: Path) -> None:
    assert mscol("report", study, "-o", study / "report") == 0
    markdown = (study / "report/report.md").read_text()
    assert "| first@4 minus other@4 | accuracy (4 clips) | +0.000 |" in markdown
    (study / "runs/other" / PROBE / "scores.safetensors").unlink()
    assert mscol("report", study, "-o", study / "report") == 0
    markdown = (study / "report/report.md").read_text()
    assert "first@4 minus other@4" not in markdown
    assert "first@4 minus untrained-small" in markdown
    assert "why some models are not compared" in markdown


@pytest.mark.slow
def test_published_scores_stand_beside_those_of_test_sets_of_that_size(
    mscol: Command, study: Path
) -> None:
    path = study / "runs/first" / PROBE / "probe.json"
    content = json.loads(path.read_text())
    (one,) = content["test_sets"]
    for clips, shown in ((800, True), (799, False)):
        edit_json(path, task="fma", test_sets=[{**one, "clips": clips}])
        assert mscol("report", study / "runs/first", "-o", study / "report") == 0
        markdown = (study / "report/report.md").read_text()
        assert ("| COLA + MSA, published | 0.510 | - | 1 |" in markdown) == shown


@pytest.mark.slow
def test_several_tasks_are_summed_up_in_one_table(mscol: Command, study: Path) -> None:
    first = study / "runs/first"
    assert mscol("report", first, "-o", study / "report") == 0
    assert "## Summary" not in (study / "report/report.md").read_text()
    shutil.copytree(first / PROBE, first / "probes/fma")
    (one,) = json.loads((first / PROBE / "probe.json").read_text())["test_sets"]
    edit_json(first / "probes/fma/probe.json", task="fma", test_sets=[{**one, "clips": 800}])
    assert mscol("report", first, "-o", study / "report") == 0
    summary = (study / "report/report.md").read_text().partition("## Summary")[2]
    header = summary.splitlines()[4]
    assert header == "| model | fma: accuracy (800 clips) | folder: accuracy (4 clips) |"
    assert "| COLA, published | 0.460 | - |" in summary


@pytest.mark.slow
def test_many_scores_are_summed_up_in_rows(mscol: Command, study: Path) -> None:
    first = study / "runs/first"
    for number in range(7):
        shutil.copytree(first / PROBE, first / "probes" / f"task{number}")
        edit_json(first / "probes" / f"task{number}/probe.json", task=f"task{number}")
    assert mscol("report", first, "-o", study / "report", "--neighbours", 0) == 0
    summary = (study / "report/report.md").read_text().partition("## Summary")[2]
    rows = summary.splitlines()[4:]
    assert rows[0] == "| score | first@4 | chance | majority class |"
    assert {f"task{number}: accuracy (4 clips)" for number in range(7)} <= {
        row.split(" | ")[0].removeprefix("| ") for row in rows
    }


@pytest.mark.slow
def test_software_is_told_apart_from_settings(mscol: Command, study: Path) -> None:
    edit_json(study / "runs/other/run.json", git="0123abc-dirty")
    edit_json(study / "runs/first/run.json", git="4567def")
    assert mscol("report", study / "runs", "-o", study / "report", "--neighbours", 0) == 0
    settings = (study / "report/report.md").read_text().partition("## Settings")[2]
    told, software = settings.split("Software in which the runs differ")
    assert "The runs differ in no setting." in told
    assert "| git | 4567def | 0123abc-dirty |" in software


@pytest.mark.slow
def test_scores_by_source_are_made_again_with_their_store(mscol: Command, study: Path) -> None:
    path = study / "runs/first" / PROBE / "probe.json"
    score = {"value": 0.5, "low": None, "high": None}
    mixture = {"name": "mixture", "silent": 0, "scores": {"accuracy": score}, "classes": [score]}
    attribution = {
        "store": str(study / "data/music.store"),
        "store_hash": "",
        "test_set": "test",
        "clips": 3,
        "left_out": [],
        "class_metric": "roc_auc",
        "fewest": 10,
        "support": [1],
        "sources": [mixture],
    }
    edit_json(path, attribution=attribution, notes=["heard 3 of 4"])
    assert mscol("report", study / "runs/first", "-o", study / "report", "--neighbours", 0) == 0
    markdown = (study / "report/report.md").read_text()
    assert f"--attribute --stems {study}/data/music.store" in markdown
    assert "- heard 3 of 4" in markdown


@pytest.mark.slow
def test_scores_stand_above_those_of_classifiers_that_do_not_listen(
    mscol: Command, study: Path
) -> None:
    assert mscol("report", study, "-o", study / "report", "--neighbours", 0) == 0
    markdown = (study / "report/report.md").read_text()
    assert "| chance | 0.500 |" in markdown
    assert "| majority class | 0.500 |" in markdown
    assert "scores highest of 3 models on folder" in markdown.split("\n\n")[1]
    page = (study / "runs/first" / PROBE / "probe.md").read_text()
    assert "| test (4 clips): chance | accuracy | 0.5000 |" in page


@pytest.mark.slow
def test_losses_on_deformed_clips_are_shown(mscol: Command, study: Path) -> None:
    path = study / "runs/first" / PROBE / "probe.json"
    (one,) = json.loads(path.read_text())["test_sets"]
    loss = {"test_set": "test", "metric": "accuracy", "clips": 4, "p": 0.03}
    score = {**one["metrics"]["accuracy"], "value": 0.25, "low": 0.1, "high": 0.4}
    numbers = {"deformation": "noise 20 dB", "score": score, "loss": 0.5, "low": 0.2, "high": 0.7}
    edit_json(path, deformed=[{**loss, **numbers}])
    assert mscol("report", study / "runs/first", "-o", study / "report") == 0
    markdown = (study / "report/report.md").read_text().replace("\\", "")
    assert "| noise 20 dB, first@4 | accuracy | 0.250" in markdown
    assert "| +0.500 | [+0.200, +0.700] | 0.030 |" in markdown
    assert "--noise=20" in markdown
    assert (study / "report/pictures/scores-folder-test-accuracy.png").exists()


@pytest.mark.slow
def test_results_of_other_settings_stand_in_tables_of_their_own(
    mscol: Command, study: Path
) -> None:
    first = study / "runs/first"
    shutil.copytree(first / PROBE, first / "probes/longer")
    protocol = json.loads((first / PROBE / "probe.json").read_text())["protocol"]
    edit_json(first / "probes/longer/probe.json", protocol={**protocol, "epochs": 9})
    assert mscol("report", first, "-o", study / "report") == 0
    markdown = (study / "report/report.md").read_text()
    assert "\nfolder, epochs 3: linear classifier" in markdown
    assert "\nfolder, epochs 9: linear classifier" in markdown


@pytest.mark.slow
def test_scores_with_fewer_labels_are_drawn(mscol: Command, study: Path) -> None:
    path = study / "runs/first" / PROBE / "probe.json"
    sets = json.loads(path.read_text())["test_sets"]
    budgets = [
        {"fraction": share, "clips": 10 * share, "test_sets": sets} for share in (0.1, 0.5, 1)
    ]
    edit_json(path, label_budgets=budgets)
    assert mscol("report", study / "runs/first", "-o", study / "report") == 0
    assert (study / "report/pictures/labels-folder-test-accuracy.png").exists()
    assert "--label-fraction 0.1,0.5,1" in (study / "report/report.md").read_text()


@pytest.mark.slow
def test_online_probes_are_drawn_over_updates_and_over_time(mscol: Command, study: Path) -> None:
    lines = [
        {"step": step, "loss": 1.0 / step, "probe/fma": step / 800, "elapsed_s": 3.6 * step}
        for step in range(1, 801)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (study / "runs/first/metrics.jsonl").write_text(text)
    assert mscol("report", study / "runs/first", "-o", study / "report") == 0
    pictures = {path.stem for path in (study / "report/pictures").iterdir()}
    assert {"probe-fma-updates", "probe-fma-minutes", "loss-updates", "loss-minutes"} <= pictures
    markdown = (study / "report/report.md").read_text()
    assert "800 of 4 | 0.001 | - | 48 min | - | finished |" in markdown
    assert "the mean of several" in markdown


@pytest.mark.slow
def test_a_run_whose_store_is_gone_is_reported_without_it(mscol: Command, study: Path) -> None:
    held = {"path": str(study / "gone.store"), "hash": "abc123"}
    edit_json(study / "runs/first/run.json", store=held)
    assert mscol("report", study / "runs/first", "-o", study / "report") == 0
    markdown = (study / "report/report.md").read_text()
    assert "only the hash is known, abc123" in markdown
    assert "Nearest neighbours" not in markdown


@pytest.mark.slow
def test_a_damaged_folder_costs_only_itself(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "runs/first/run.json").write_text("{")
    (study / "runs/other" / PROBE / "probe.json").write_text('{"model": "other@4"}')
    (study / "runs/other/metrics.jsonl").write_text('[]\n{"step": 2, "loss": 1}\n')
    assert mscol("report", study, "-o", study / "report") == 3
    error = capsys.readouterr().err
    assert "first/run.json" in error
    assert "1 damaged line" in error
    assert "skipped 3 inputs" in error
    assert "other" in (study / "report/report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 4, "nowhere "),
        (["music"], 4, "has no run"),
        (["runs/first", "--probes", "music"], 4, "has no probe.json"),
        (["runs/first", "-o", "music/0.wav"], 2, "is a file"),
        (["runs/first", "--neighbours", "-1"], 2, "--neighbours"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    mscol: Command,
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(study)
    assert mscol("report", *arguments) == code
    assert message in capsys.readouterr().err
    assert not (study / "report").exists()


def test_a_folder_of_results_is_told_from_one_of_runs(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "probes" / "untrained-fma").mkdir(parents=True)
    (tmp_path / "probes" / "untrained-fma" / "probe.json").write_text("{}")
    assert mscol("report", "probes") == 4
    assert "use --probes probes" in capsys.readouterr().err
