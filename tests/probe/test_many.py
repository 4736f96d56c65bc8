"""Many tasks and models in one table, through the command line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.synthetic import Collection
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions
from tests.helpers.terminal import COLUMNS, in_terminal


@pytest.fixture
def data(collection: Collection, tmp_path: Path) -> Path:
    """`data/mtat`, `data/nsynth` and `data/fma` where commands look."""
    folder = tmp_path / "data"
    folder.mkdir()
    for task in ("mtat", "nsynth", "fma"):
        (folder / task).symlink_to(getattr(collection, task), target_is_directory=True)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A trained run of the test's own."""
    return Path(shutil.copytree(trained, tmp_path / "runs" / "mine"))


def table(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "probes.json").read_text())
    return found


@pytest.mark.slow
def test_tasks_and_models_make_one_table_and_results_of_their_own(
    mscol: Command, data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ("--model", run, "--model", "untrained", "--encoder", "small")
    assert mscol("probe", "fma", "mtat", *models, "--seeds", 2, "-o", "out") == 0
    found = table(tmp_path / "out")
    assert [row["model"] for row in found["rows"]] == ["mine@6", "untrained-small"]
    columns = [(one["task"], one["test_set"], one["metric"]) for one in found["columns"]]
    assert columns[:2] == [("fma", "test", "accuracy"), ("fma", "test", "macro_f1")]
    assert len(columns) == 6
    assert len(found["comparisons"]) == 6
    single = json.loads((run / "probes" / "fma" / "probe.json").read_text())
    assert found["rows"][0]["scores"][0] == single["test_sets"][0]["metrics"]["accuracy"]
    page = capsys.readouterr().out
    assert "mtat filtered roc_auc" in page
    assert "macro_f1" not in page
    assert "mine@6 minus untrained-small" in page
    assert (tmp_path / "out" / "probes.md").read_text().strip() in page
    line = ("probe", "fma", "mtat", *models, "--seeds", 2, "-o", "again", "--reuse")
    shown = in_terminal(*line, cwd=tmp_path)
    tables = [line for line in shown if line[:1] in "┏┃│└"]
    assert max(map(len, tables)) <= COLUMNS
    assert any(re.match("│ mine@6 +│", line) for line in shown)
    assert not any(line.startswith("| ") for line in shown)


@pytest.mark.slow
def test_differences_agree_with_the_scores_that_they_compare(
    mscol: Command, data: Path, run: Path, tmp_path: Path
) -> None:
    models = ("--model", run, "--model", "untrained", "--encoder", "small")
    assert mscol("probe", "fma", *models, "--seeds", 1, "-o", "out") == 0
    found = table(tmp_path / "out")
    first, second = (row["scores"][0]["value"] for row in found["rows"])
    compared = found["comparisons"][0]
    assert compared["difference"] == pytest.approx(first - second)
    assert compared["low"] <= compared["difference"] <= compared["high"]
    assert 0 < compared["p"] <= 1


@pytest.mark.slow
def test_a_task_that_fails_does_not_lose_the_others(
    mscol: Command, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "mtat").unlink()
    model = ("--model", "untrained", "--encoder", "small")
    assert mscol("probe", "mtat", "fma", *model, "--seeds", 1) == 3
    found = table(tmp_path / "probes")
    assert [one["task"] for one in found["columns"]] == ["fma", "fma"]
    assert found["failures"][0][0] == "mtat untrained"
    assert "data/mtat " in capsys.readouterr().err


def test_a_model_that_is_not_there_does_not_lose_the_others(
    mscol: Command, data: Path, run: Path, tmp_path: Path
) -> None:
    assert mscol("probe", "fma", "--model", run, "--model", "runs/gone", "--seeds", 1) == 3
    assert [row["model"] for row in table(tmp_path / "probes")["rows"]] == ["mine@6"]


@pytest.mark.parametrize("tasks", [["fma"], ["fma", "nsynth"]])
def test_an_output_that_cannot_be_written_is_said_before_the_work(
    mscol: Command,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tasks: list[str],
) -> None:
    (tmp_path / "taken").write_text("")
    model = ("--model", "untrained", "--encoder", "small")
    assert mscol("probe", *tasks, *model, "-o", "taken/out") == 1
    assert mentions(capsys.readouterr().err, "error: ", "taken/out", "-o")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("mtat", "fma", "--model", "untrained", "--encoder", "small"), 4, "data/"),
        (("fma", "fmma"), 2, "'fma'"),
        (("fma", "mtat", "--data", "somewhere"), 2, "--data TASK=somewhere"),
        (("fma", "mtat", "--data", "mtta=there"), 2, "'mtat'"),
        (("fma", "--label-fraction", "0,1"), 2, "--label-fraction"),
        (("fma", "--label-fraction", "half"), 2, "'half'"),
        (("fma", "--mp3", "8"), 2, "--mp3 takes 40 to 160 kbit/s"),
        (("fma", "--pitch", "-2,up"), 2, "--pitch"),
        (("fma", "--finetune", "--noise", "3"), 2, "--finetune"),
        (("fma", "--classifier", "knn"), 2, "published, linear, mlp"),
        (("fma", "mtat", "--encoder", "small"), 2, "--model untrained"),
    ],
)
def test_when_nothing_can_be_probed_one_line_says_why(
    mscol: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    assert mscol("probe", *arguments) == code
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "probes").exists()


@pytest.mark.slow
def test_a_table_is_made_of_finished_results_even_without_their_data(
    mscol: Command, data: Path, run: Path, tmp_path: Path
) -> None:
    models = ("--model", run, "--model", "untrained", "--encoder", "small", "--seeds", 1)
    assert mscol("probe", "fma", *models, "-o", "first") == 0
    (data / "fma").unlink()
    assert mscol("probe", "fma", *models, "-o", "again", "--reuse") == 0
    assert table(tmp_path / "again") == table(tmp_path / "first")
    assert mscol("probe", "fma", *models, "--reuse", "--protocol", "hidden=8") == 4


@pytest.mark.slow
def test_results_of_changed_data_are_not_reused_and_those_of_both_are_noted(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music = tmp_path / "music"
    for number in range(20):
        path = music / ("high", "low")[number % 2] / f"{number}.wav"
        write_audio(path, tones(1.2, seed=number))

    def probe(*models: str) -> str:
        options = [option for model in models for option in ("--model", model)]
        encoder = ("--encoder", "small") if "untrained" in models else ()
        settings = (*encoder, "--data", music, "--seeds", 1, "--reuse", "--device", "cpu")
        assert mscol("probe", "folder", *options, *settings) == 0
        return "".join(capsys.readouterr())

    probe("untrained", "logmel")
    assert probe("untrained", "logmel").count("reused from") == 2
    (music / "low" / "1.wav").rename(music / "high" / "1.wav")
    shown = probe("untrained")
    assert "folder untrained-small: the data have changed since probes/" in shown
    assert "reused" not in shown
    music.rename(tmp_path / "gone")
    shown = probe("untrained", "logmel")
    assert shown.count("reused from") == 2
    assert "folder: the data changed between the probes of untrained-small; logmel" in shown
    (tmp_path / "gone").rename(music)
    older = tmp_path / "probes" / "logmel-folder" / "probe.json"
    content = json.loads(older.read_text())
    del content["data_hash"]
    older.write_text(json.dumps(content))
    shown = probe("untrained", "logmel")
    assert shown.count("reused from") == 2
    assert "data changed" not in shown


@pytest.mark.slow
def test_two_checkpoints_of_one_run_keep_their_results_apart(
    mscol: Command, data: Path, run: Path, tmp_path: Path
) -> None:
    (step,) = (run / "checkpoints").glob("step-*")
    shutil.copytree(step, step.with_name("step-000000003"))
    given = [str(path) for path in sorted((run / "checkpoints").iterdir())]
    models = ("--model", given[0], "--model", given[1])
    assert mscol("probe", "fma", *models, "--seeds", 1, "-o", "out") == 0
    rows = table(tmp_path / "out")["rows"]
    assert len({row["model"] for row in rows}) == 2
    assert len({row["results"]["fma"] for row in rows}) == 2
