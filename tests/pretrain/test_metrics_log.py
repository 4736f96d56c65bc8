"""Errors on TensorBoard's files are one warning; metrics.jsonl is written all the same."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from mscol_cli.pretrain.metrics_log import open_log

STEPS = range(1, 5)


def log_steps(run: Path, warnings: list[str], remove: bool = False) -> None:
    with open_log(run, 0, {"seed": 1}, warnings.append) as log:
        assert log is not None
        for step in STEPS:
            log.write(step, {"loss": 1.0})
            if remove:
                shutil.rmtree(run, ignore_errors=True)
        log.finish()


def check(run: Path, warnings: list[str], stderr: str) -> None:
    assert stderr == ""
    assert len(warnings) == 1
    assert f"{run / 'tensorboard'} cannot be written" in warnings[0]


def test_a_full_disk_under_the_event_files_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RecordWriter, "write", full)
    warnings: list[str] = []
    log_steps(tmp_path, warnings)
    check(tmp_path, warnings, capfd.readouterr().err)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == len(STEPS)


def test_a_folder_that_cannot_be_made_is_one_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tensorboard").touch()
    warnings: list[str] = []
    log_steps(tmp_path, warnings)
    check(tmp_path, warnings, capfd.readouterr().err)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == len(STEPS)


def test_a_run_that_is_removed_meanwhile_prints_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    warnings: list[str] = []
    log_steps(run, warnings, remove=True)
    check(run, warnings, capfd.readouterr().err)
