"""`mscol runs`: lists, shows, compares and draws runs, damaged ones included."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.runs.plot import MAX_POINTS, RunCurves, metric_names, run_panels
from mscol_cli.runs.state import track_state
from tests.conftest import Command
from tests.helpers.terminal import COLUMNS, in_terminal

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def runs(mscol: Command, trained: Path, tmp_path: Path) -> Path:
    """Two runs that differ in their rate and objective, the second interrupted and probed."""
    folder = tmp_path / "runs"
    for name in ("one", "two"):
        shutil.copytree(trained, folder / name)
    (folder / "latest").symlink_to("two")
    change(folder / "two" / "run.json", lambda info: info["training"].update(learning_rate=0.5))
    change(folder / "two" / "run.json", lambda info: info["objective"].update(name="cola"))
    change(folder / "two" / "state.json", lambda state: state.update(state="interrupted"))
    change(folder / "two" / "state.json", lambda state: state.update(reason="stopped at step 6."))
    report = folder / "two" / "probes" / "fma" / "probe.json"
    report.parent.mkdir(parents=True)
    score = {"value": 0.75, "low": 0.7, "high": 0.8}
    content = {"model_step": 6, "test_sets": [{"name": "test", "metrics": {"accuracy": score}}]}
    report.write_text(json.dumps(content))
    with (folder / "two" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 7, "probe/fma": 0.5}) + "\n")
    return folder


def change(path: Path, edit: Any) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def output(capsys: pytest.CaptureFixture[str]) -> Any:
    content = json.loads(capsys.readouterr().out)
    return content.get("items", content)


def test_the_list_says_how_runs_stand(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("runs") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "run",
        "objective",
        "encoder",
        "step",
        "loss",
        "accuracy",
        "probes",
        "state",
        "age",
    ]
    one = next(line for line in lines if line.startswith("one")).split()
    assert one[1:4] == ["msa", "small", "6/6"]
    assert "finished" in one
    two = next(line for line in lines if line.startswith("two (latest)"))
    assert "fma 0.750, fma 0.500 (online)" in two
    assert lines[-1] == "two interrupted: stopped at step 6."


def add_report(runs: Path, name: str, value: float) -> None:
    """Another probe result of fma of the second run."""
    folder = runs / "two" / "probes" / name
    shutil.copytree(runs / "two" / "probes" / "fma", folder)
    score = {"accuracy": {"value": value, "low": 0.0, "high": 1.0}}
    sets = [{"name": "test", "metrics": score}]
    change(folder / "probe.json", lambda content: content.update(task="fma", test_sets=sets))


def test_the_list_has_one_score_of_each_task(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_report(runs, "fma-labels=0.1_0.5", 0.1)
    add_report(runs, "fma-attribute-noise=20", 0.2)
    assert mscol("runs") == 0
    assert "fma 0.750, fma 0.500 (online), +2 more" in capsys.readouterr().out
    assert mscol("runs", "--json") == 0
    found = {run["name"]: run for run in output(capsys)}["two"]
    assert found["headlines"] == {"fma": 0.75}
    assert len(found["probes"]) == 3
    assert mscol("runs", "show", "two") == 0
    assert "fma-labels=0.1_0.5 accuracy" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["runs"],
        ["runs", "compare", "one", "two", "three"],
        ["runs", "compare", "one", "two", "--all"],
    ],
)
def test_a_narrow_terminal_gets_lines_that_fit(runs: Path, command: list[str]) -> None:
    add_report(runs, "fma-labels=0.1_0.5_and_many_others", 0.1)
    shutil.copytree(runs / "one", runs / "three")
    for name in ("one", "two", "three"):  # of a clean tree and a short path, as for users
        change(runs / name / "run.json", lambda info: info.update(git="0123456789" * 4))
        change(runs / name / "run.json", lambda info: info["store"].update(path="data/mtat.store"))
    lines = in_terminal(*command, cwd=runs.parent)
    assert [line for line in lines if len(line) > COLUMNS] == []
    names = command[2:] if "--all" not in command else ["one", "two"]
    assert all(name in " ".join(lines) for name in names)
    if "--all" in command:
        assert lines[0].split() == ["one", "two"]


def test_a_run_that_lies_elsewhere_is_listed_by_its_path(
    mscol: Command, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "one", tmp_path / "other" / "one")
    (runs / "latest").unlink()
    (runs / "latest").symlink_to("../other/one")
    assert mscol("runs", "--json") == 0
    assert {run["name"]: run["latest"] for run in output(capsys)} == {
        "one": False,
        "two": False,
        "other/one": True,
    }


def test_a_run_that_is_named_twice_is_one(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("runs", "compare", "two", "one", "latest", runs / "one", "--json") == 0
    assert output(capsys)["runs"] == ["two", "one"]


def test_other_folders_beside_runs_are_no_runs(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "report").mkdir()
    assert mscol("runs", "--json") == 0
    assert {run["name"] for run in output(capsys)} == {"one", "two"}


def test_the_list_as_json_of_another_folder(
    mscol: Command, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.rename(tmp_path / "elsewhere")
    assert mscol("runs", "elsewhere", "--json") == 0
    found = {run["name"]: run for run in output(capsys)}
    assert found["one"]["step"] == found["one"]["steps"] == 6
    assert found["two"]["probes"] == {"fma": 0.75}
    assert found["two"]["online"] == {"fma": 0.5}
    assert mscol("runs") == 4
    assert "runs " in capsys.readouterr().err


def test_a_run_on_another_host_that_does_not_report_is_not_running(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = runs / "one" / "state.json"
    file.write_text('{"state": "running", "host": "far", "process": 1, "machine": "0123abcd"}')
    assert mscol("runs", "--json") == 0
    states = {run["name"]: run["state"] for run in output(capsys)}
    assert states["one"] == "running"
    old = file.stat().st_mtime - 600
    os.utime(file, (old, old))
    assert mscol("runs", "--json") == 0
    lost = next(run for run in output(capsys) if run["name"] == "one")
    assert lost["state"] == "interrupted"
    assert lost["reason"] == "its process on far has not reported for 10 min"


def test_a_run_reports_while_it_is_tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mscol_cli.runs.state.HEARTBEAT_S", 0.01)
    with track_state(tmp_path):
        file = tmp_path / "state.json"
        os.utime(file, (0, 0))
        deadline = time.monotonic() + 10
        while file.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert file.stat().st_mtime > 0


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("run.json", "{", "JSON"),
        ("run.json", '{"objective": 3}', "has layout None None"),
        ("run.json", '{"format": "mscol-run", "version": 1}', "run.json is damaged"),
        ("state.json", '{"state": ["running"]}', "state.json is damaged"),
        ("run.json", None, "run.json"),
        ("state.json", "[]", "not a JSON object"),
        ("metrics.jsonl", 'nonsense\n{"step": 2, "loss": 3}\n', "1 damaged line"),
        ("metrics.jsonl", b"\xff\xfe\n[1]\n", "2 damaged lines"),
        ("metrics.jsonl", '{"step": 1, "loss": NaN}\n', "1 damaged line"),
        ("probes/fma/probe.json", '{"test_sets": []}', "probe.json"),
    ],
)
def test_a_damaged_folder_is_listed_with_its_problem(
    mscol: Command,
    runs: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    content: str | bytes | None,
    problem: str,
) -> None:
    damaged = runs / "two" / file
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(content.encode() if isinstance(content, str) else content)
    assert mscol("runs", "--json") == 0
    found = {run["name"]: run for run in output(capsys)}
    assert len(found) == 2
    assert problem in found["two"]["problems"][0]
    assert found["one"]["problems"] == []
    assert mscol("runs") == 0
    assert "two damaged: " in capsys.readouterr().out


def test_a_run_whose_process_is_gone_was_interrupted(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name, process in (("one", os.getpid()), ("two", gone.pid)):
        state = {"state": "running", "host": socket.gethostname(), "process": process}
        (runs / name / "state.json").write_text(json.dumps(state))
    assert mscol("runs", "--json") == 0
    found = {run["name"]: run["state"] for run in output(capsys)}
    assert found == {"one": "running", "two": "interrupted"}


def test_a_run_is_shown_in_full(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("runs", "show", "latest") == 0
    text = capsys.readouterr().out
    assert "interrupted (stopped at step 6.), step 7 of 6" in text
    assert "training.learning_rate" in text
    assert "fma accuracy  0.7500 [0.7000, 0.8000] at step 6" in text
    assert mscol("runs", "show", runs / "one", "--json") == 0
    found = output(capsys)
    assert found["settings"]["objective.msa.silent_share"] == 0.5
    assert found["metrics"]["effective_rank"] > 1
    assert found["checkpoints"] == [6]


def test_runs_are_compared_by_what_differs(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("runs", "compare", "one", "two", "--json") == 0
    found = output(capsys)
    assert found["settings"] == {
        "objective.name": ["msa", "cola"],
        "training.learning_rate": [0.001, 0.5],
    }
    assert found["probes"] == {"fma accuracy": [None, 0.75]}
    assert mscol("runs", "compare", "one", "two", "--all") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["one", "two"]
    row = next(line for line in lines if "training.seed" in line)
    assert row.split() == ["training.seed", "0", "0"]


def test_software_is_no_setting(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commits = ["0123456789" * 4, "abcdefabcd" * 4]
    for name, commit in zip(("one", "two"), commits, strict=True):
        change(runs / name / "run.json", lambda info, git=commit: info.update(git=f"{git}-dirty"))
    change(runs / "two" / "run.json", lambda info: info["encoder"].update(owner="other"))
    assert mscol("runs", "compare", "one", "two", "--json") == 0
    found = output(capsys)
    assert not {name for name in found["settings"] if "git" in name or "version" in name}
    assert found["software"]["git"] == [f"{commit}-dirty" for commit in commits]
    assert found["software"].keys() == {"git", "plugin other"}
    assert mscol("runs", "compare", "one", "two") == 0
    lines = capsys.readouterr().out.splitlines()
    row = lines.index("software:") + 1
    assert lines[row].split() == ["git", "012345678901-dirty", "abcdefabcdab-dirty"]


@pytest.mark.slow
@pytest.mark.parametrize("x", ["steps", "hours", "pairs"])
def test_curves_are_drawn(
    mscol: Command, runs: Path, x: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("runs", "plot", "one", "two", "-o", "curves.png", "--x", x, "--json") == 0
    assert Path("curves.png").read_bytes().startswith(PNG)
    drawn = output(capsys)["metrics"]
    assert drawn[:3] == ["loss", "accuracy", "probe/fma"]
    assert {"accuracy/bass", "effective_rank"} <= set(drawn)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "three"], 4, "three"),
        (["compare", "one", "three"], 4, "three"),
        (["plot", "one", "-o", "curves.gif"], 2, ".png, .pdf, .svg"),
        (["plot", "one", "-o", "a.png", "--x", "days"], 2, "steps, hours, pairs"),
        (["plot", "one", "-o", "a.png", "--metric", "joy"], 2, "metric 'joy'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    mscol: Command,
    runs: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    assert mscol("runs", *arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(Path().glob("*.p*"))


def test_a_run_without_settings_or_lines_is_not_drawn(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "one" / "metrics.jsonl").unlink()
    assert mscol("runs", "plot", "one", "-o", "a.png") == 2
    assert " one" in capsys.readouterr().err
    (runs / "one" / "run.json").unlink()
    assert mscol("runs", "show", "one") == 2
    assert "has no run.json" in capsys.readouterr().err


def test_hours_that_nobody_logged_are_not_drawn(
    mscol: Command, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "one" / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    assert mscol("runs", "plot", "one", "-o", "a.png", "--x", "hours") == 2
    assert "hours" in capsys.readouterr().err
    assert not Path("a.png").exists()


def test_listing_imports_no_torch(runs: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from mscol_cli.app import run; run(['runs']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_long_curves_are_means_and_scores_stay_as_they_are() -> None:
    steps = range(1, 4 * MAX_POINTS + 1)
    lines = [{"step": float(step), "loss": float(step), "probe/fma": 1.0} for step in steps]
    run = RunCurves("run", lines, batch_size=8, score="accuracy")
    assert metric_names([run]) == ["loss", "probe/fma"]
    loss, probe = run_panels([run], ["loss", "probe/fma"], "pairs")
    assert len(loss.curves[0].x) == MAX_POINTS
    assert (loss.curves[0].low[0], loss.curves[0].high[0]) == (1.0, 4.0)
    assert loss.curves[0].y[0] == 2.5
    assert loss.curves[0].x[0] == 20.0
    assert len(probe.curves[0].x) == len(lines)
    assert (probe.title, probe.y_label) == ("online probe: fma", "accuracy")


def test_hours_are_those_of_lines_that_say_so() -> None:
    lines = [
        {"step": 0, "loss": 3},
        {"step": 1, "loss": 2},
        {"step": 2, "loss": 1, "elapsed_s": 3600},
    ]
    (panel,) = run_panels([RunCurves("run", lines, 8)], ["loss"], "hours")
    assert (panel.curves[0].x, panel.curves[0].y) == ([0.0, 1.0], [3.0, 1.0])


@pytest.mark.parametrize(
    ("unit", "speed", "times"),
    [("seconds", 8.0, [30.0, 60.0]), ("minutes", 4.0, [1.0, 2.0]), ("hours", 0.04, [1.667, 3.333])],
)
def test_the_time_of_a_run_that_logged_none_is_that_of_its_pairs_in_a_unit_that_suits(
    unit: str, speed: float, times: list[float]
) -> None:
    lines = [{"step": step, "loss": 1.0, "pairs_per_second": speed} for step in (30, 60)]
    (panel,) = run_panels([RunCurves("run", lines, 8)], ["loss"], "hours")
    assert panel.x_label == f"{unit} of training"
    assert panel.curves[0].x == pytest.approx(times, abs=1e-3)
