"""Means of metrics; errors on TensorBoard's files are one warning."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.summary.writer.record_writer import RecordWriter

from mscol_cli.pretrain.metrics_log import Means, open_log

STEPS = range(1, 5)


def test_a_metric_is_averaged_over_the_updates_that_report_it() -> None:
    means, nan = Means(), float("nan")
    for values in ({"a": 1.0}, {"b": 2.0}, {"a": 3.0, "b": nan}, {}):
        means.add({name: torch.tensor(value) for name, value in values.items()})
    assert means.take() == Means(means.state()).take() == {"a": 2.0, "b": 2.0}


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
