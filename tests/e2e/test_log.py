"""Lines on stderr: with the time off a terminal, and in the file of `--log-file`."""

import os
import re
from pathlib import Path

import pytest

from mscol_cli.commands.progress import TerminalProgress
from tests.conftest import Command
from tests.helpers.command import run_mscol
from tests.helpers.terminal import in_terminal

Capture = pytest.CaptureFixture[str]
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def test_lines_begin_with_the_time_off_a_terminal(
    mscol: Command, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("MSCOL_TIMESTAMPS")
    assert mscol("runs", "show", "none") == 4
    assert re.fullmatch(TIME + "error: none is not a run.*\n", capsys.readouterr().err)


def test_results_have_no_time(
    mscol: Command, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("MSCOL_TIMESTAMPS")
    assert mscol("recipes") == 0
    assert not re.search(TIME, capsys.readouterr().out)


@pytest.mark.slow
def test_lines_have_no_time_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSCOL_TIMESTAMPS")
    assert in_terminal("runs", "show", "none", cwd=tmp_path)[0].startswith("error: ")


def test_the_log_file_has_the_command_and_every_line(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    for _ in range(2):
        assert mscol("--log-file", "logs/a.log", "runs", "show", "no\u202ene") == 4
        del os.environ["MSCOL_LOG_FILE"]
    lines = (tmp_path / "logs" / "a.log").read_text().splitlines()
    assert len(lines) == 4
    assert all(re.match(TIME, line) for line in lines)
    assert re.search(r"mscol \d", lines[2])
    assert r"error: no\u202ene is not a run" in lines[3]
    assert capsys.readouterr().err.count("error: ") == 2


def test_an_option_of_mscol_behind_a_command_is_told_its_place(
    mscol: Command, capsys: Capture
) -> None:
    assert mscol("runs", "ls", "--log-file", "a.log") == 2
    assert "--log-file is an option of mscol itself: put it before" in capsys.readouterr().err
    assert mscol("runs", "ls", "--log-fil") == 2
    assert "No such option: --log-fil" in capsys.readouterr().err


def test_progress_and_warnings_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MSCOL_LOG_FILE", str(tmp_path / "log"))
    monkeypatch.setattr("mscol_cli.commands.progress.LINE_EVERY", 0.0)
    with TerminalProgress() as progress:
        progress.begin("embedding", 2, "clips")
        progress.advance()
        progress.warn("one is bad")
    lines = [line[20:] for line in (tmp_path / "log").read_text().splitlines()]
    assert [line.partition(":")[0] for line in lines] == ["embedding", "warning"]


def test_an_unforeseen_error_is_logged_with_its_traceback(
    mscol: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(_name: str) -> None:
        raise ZeroDivisionError("nothing left")

    monkeypatch.setattr("mscol_cli.runs.listing.show_run", fail)
    assert mscol("--log-file", "log", "runs", "show", "none") == 1
    assert "Traceback" not in capsys.readouterr().err
    text = (tmp_path / "log").read_text()
    assert "Traceback" in text
    assert "error: ZeroDivisionError: nothing left" in text


def test_a_log_file_that_cannot_be_written_is_an_error(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    assert mscol("--log-file", tmp_path, "recipes") == 1
    assert "--log-file" in capsys.readouterr().err


def test_a_log_that_fails_later_costs_one_warning(
    mscol: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MSCOL_LOG_FILE", str(tmp_path / "gone" / "log"))
    assert mscol("runs", "show", "none") == 4
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: ")
    assert error.startswith("error: ")


@pytest.mark.slow
def test_processes_of_a_command_append_to_its_log(tmp_path: Path) -> None:
    log = {"MSCOL_LOG_FILE": str(tmp_path / "log")}
    for name in ("a", "b"):
        assert run_mscol("runs", "show", name, folder=tmp_path, **log).returncode == 4
    assert len((tmp_path / "log").read_text().splitlines()) == 2
