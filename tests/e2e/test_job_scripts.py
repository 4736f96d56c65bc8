"""The job scripts of docs/clusters.md: which exit codes requeue a job."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers.clusters import scripts

JOBS = [name for name, text in scripts().items() if "scontrol requeue" in text]


def run(folder: Path, name: str, code: int, restarts: int = 0) -> tuple[bool, int]:
    """Run a script whose mscol ends with a code; returns whether it was requeued, and its code."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for program, line in {
        "srun": f"exit {code}",
        "mscol": f"exit {code}",
        "scontrol": f"echo $* >> {folder}/requeued",
    }.items():
        (programs / program).write_text(f"#!/bin/bash\n{line}\n")
        (programs / program).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1", "SLURM_CPUS_PER_TASK": "1"}
    # Not set in the first start of a job.
    count = {"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", scripts()[name]],
        cwd=folder,
        env={"PATH": path, **slurm, **count},
        check=False,
        capture_output=True,
    )
    assert not done.stderr
    requeued = folder / "requeued"
    assert not requeued.exists() or requeued.read_text() == "requeue 7\n"
    return requeued.exists(), done.returncode


def write_work(folder: Path, left: bool) -> None:
    """Write what a killed job leaves behind, with or without work for the next one."""
    (folder / "music.store" / "work").mkdir(parents=True)
    if left:
        (folder / "music.store" / "work" / "plan.json").touch()
    for run in ("msa", "msa-1"):
        (folder / "runs" / run).mkdir(parents=True)
        state = "running" if left else "finished"
        (folder / "runs" / run / "state.json").write_text(f'{{"state": "{state}"}}')


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize(
    ("code", "restarts", "is_requeued"),
    [(0, 0, False), (1, 0, False), (3, 0, False), (130, 9, True), (137, 4, True), (137, 5, False)],
)
def test_an_interruption_or_a_killed_task_requeues_a_job_with_work_left(
    tmp_path: Path, name: str, code: int, restarts: int, is_requeued: bool
) -> None:
    write_work(tmp_path, left=True)
    requeued, ended = run(tmp_path, name, code, restarts)
    assert requeued == is_requeued
    assert requeued or ended == code


@pytest.mark.parametrize("name", [name for name in JOBS if name != "embed.sbatch"])
def test_a_killed_task_requeues_no_job_without_work(tmp_path: Path, name: str) -> None:
    write_work(tmp_path, left=False)
    assert run(tmp_path, name, 137) == (False, 137)
