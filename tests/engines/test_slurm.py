"""The job scripts of docs/clusters.md, as they stand there, on a real SLURM."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.vectors import VectorFolder
from tests.conftest import Command, run_in
from tests.helpers.files import digests
from tests.helpers.hosts import Host, wait_until
from tests.helpers.slurm import Cluster, Job
from tests.helpers.training import metrics

pytestmark = pytest.mark.engines

MINI = ("--model", "mini", "--opt", "niter=2")
TRAIN = ("--encoder", "small", "--batch-size", 8)
STEPS = ("--steps", 60, "--save-every", 10)
LAST = "checkpoints/step-00000060"
TWO_TASKS, FOUR_TASKS = "--ntasks-per-node=1", "--ntasks-per-node=2"


@pytest.fixture(scope="module")
def separated(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that one process makes."""
    folder = tmp_path_factory.mktemp("separated")
    run_in(folder, ["separate", music, *MINI, "-o", folder / "one.store"])
    return folder / "one.store"


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by two tasks that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    script = folder / "plain.sbatch"
    line = f"srun mscol pretrain {store} --objective msa -o run"
    script.write_text(f'#!/bin/bash\n#SBATCH --nodes=2 {TWO_TASKS}\n{line} "$@"\n')
    job = cluster.submit(script, *TRAIN, *STEPS)
    assert job.wait() == "COMPLETED", job.output
    return folder / "run"


def tasks(host: Host, command: str) -> list[int]:
    """Processes of mscol that SLURM runs on a host, without those of srun."""
    return [number for number in host.processes(command) if _is_python(number)]


def _is_python(number: int) -> bool:
    return Path(f"/proc/{number}/comm").read_text().startswith(("mscol", "python"))


def weights(run: Path) -> dict[str, str]:
    return digests(run / LAST, "*.safetensors")


def has_begun(store: Path) -> bool:
    return any(path.stat().st_size for path in store.glob("work/*/tracks.jsonl"))


def wait_for_checkpoint(run: Path) -> None:
    wait_until(lambda: any(run.glob("checkpoints/step-*")), 120, every=0.02)


def errors(job: Job) -> list[str]:
    return [line for line in job.output.splitlines() if line.startswith("error: ")]


def separate(cluster: Cluster, folder: Path) -> Job:
    """Begin to separate again, in four tasks."""
    shutil.rmtree(folder / "music.store")
    job = cluster.submit(folder / "separate.sbatch", *MINI, options=FOUR_TASKS)
    wait_until(lambda: has_begun(folder / "music.store"), every=0.01)
    return job


def assert_completed(cluster: Cluster, folder: Path, separated: Path) -> None:
    """The same script completes the store, to the bytes of one process."""
    again = cluster.submit(folder / "separate.sbatch", *MINI, options=FOUR_TASKS)
    assert again.wait() == "COMPLETED", again.output
    assert digests(folder / "music.store") == digests(separated)


def test_a_killed_task_of_separate_leaves_its_tracks_to_the_others(
    cluster: Cluster, job_folder: Path, separated: Path
) -> None:
    job = separate(cluster, job_folder)
    os.kill(tasks(cluster.hosts[1], "separate")[0], signal.SIGKILL)
    assert job.wait() == "FAILED"
    assert job.exit_code == 137
    assert digests(job_folder / "music.store") == digests(separated)
    assert_completed(cluster, job_folder, separated)


def test_a_cancelled_separation_is_not_requeued_and_completed_by_the_next_job(
    cluster: Cluster, job_folder: Path, separated: Path
) -> None:
    job = separate(cluster, job_folder)
    cluster.run("scancel", job.number)
    assert job.wait() == "CANCELLED"
    wait_until(lambda: not any(tasks(host, "separate") for host in cluster.hosts))
    assert (job_folder / "music.store" / "work").exists()
    assert_completed(cluster, job_folder, separated)


def test_a_separation_that_a_signal_stops_is_requeued_and_completed(
    cluster: Cluster, job_folder: Path, separated: Path
) -> None:
    job = separate(cluster, job_folder)
    cluster.run("scancel", "--signal=USR1", job.number)
    job.skip_the_wait_of_a_requeued_job()
    assert job.wait() == "COMPLETED", job.output
    assert len(errors(job)) == 1, job.output
    assert digests(job_folder / "music.store") == digests(separated)


def test_of_separating_tasks_one_names_bad_files_and_ends_with_3(
    cluster: Cluster, job_folder: Path
) -> None:
    shutil.rmtree(job_folder / "music.store")
    for name in ("03", "40"):
        (job_folder / "music" / f"{name}.wav").unlink()
        (job_folder / "music" / f"{name}.wav").write_text("no audio")
    job = cluster.submit(job_folder / "separate.sbatch", "--separator", "none", options=FOUR_TASKS)
    assert job.wait() == "FAILED"
    assert job.exit_code == 3
    assert job.output.count("Exited with exit code 3") == 1
    assert job.output.count("warning: skipped") == 2
    assert len(errors(job)) == 1


def test_tasks_embed_what_one_process_does(
    cluster: Cluster, job_folder: Path, trained: Path, mscol: Command, tmp_path: Path
) -> None:
    shutil.copytree(trained, job_folder / "runs" / "msa")
    music = job_folder / "music"
    (music / "17.wav").unlink()
    (music / "17.wav").write_text("no audio")
    assert mscol("embed", music, "--model", trained, "-o", tmp_path / "one") == 3
    job = cluster.submit(job_folder / "embed.sbatch", options=FOUR_TASKS)
    assert job.wait() == "FAILED"
    assert job.exit_code == 3
    assert job.output.count("Exited with exit code 3") == 1
    assert len(errors(job)) == 1
    assert job.output.count("warning: skipped") <= 2  # by another one first, then by the first
    one, four = (VectorFolder.open(path) for path in (tmp_path / "one", job_folder / "vectors"))
    assert len(one.entries) == 64
    for entry in one.entries:
        other = four.find(entry.id)
        assert other is not None
        np.testing.assert_array_equal(four.read(other), one.read(entry))


@pytest.mark.parametrize("size", [TWO_TASKS, FOUR_TASKS])
def test_tasks_train_what_one_process_does(
    cluster: Cluster, job_folder: Path, mscol: Command, store: Path, tmp_path: Path, size: str
) -> None:
    # One update: Adam's first step already blows rounding up, where a gradient is near zero.
    train = [*TRAIN, "--steps", 1]
    assert mscol("pretrain", store, "--objective", "msa", *train, "-o", tmp_path / "one") == 0
    job = cluster.submit(job_folder / "pretrain.sbatch", *train, options=size)
    assert job.wait() == "COMPLETED", job.output
    (one,), (many,) = metrics(tmp_path / "one"), metrics(job_folder / "runs" / "msa")
    assert many["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert job.output.count("run runs/msa") == 1
    assert "UserWarning" not in job.output


@pytest.mark.parametrize(
    ("options", "code"), [(("--objective", "nonsense"), 2), (("--init", "nowhere"), 4)]
)
def test_the_first_task_prints_an_error_for_all(
    cluster: Cluster, job_folder: Path, options: tuple[str, ...], code: int
) -> None:
    job = cluster.submit(job_folder / "pretrain.sbatch", *TRAIN, *options, options=FOUR_TASKS)
    assert job.wait() == "FAILED"
    assert job.exit_code == code, job.output
    assert len(errors(job)) == 1, job.output


def test_a_killed_task_ends_the_others_and_the_requeued_job_resumes_to_the_same_bits(
    cluster: Cluster, job_folder: Path, undisturbed: Path
) -> None:
    script, run = job_folder / "pretrain.sbatch", job_folder / "runs" / "msa"
    job = cluster.submit(script, *TRAIN, *STEPS, options=TWO_TASKS)
    wait_for_checkpoint(run)
    os.kill(tasks(cluster.hosts[1], "pretrain")[0], signal.SIGKILL)
    job.skip_the_wait_of_a_requeued_job()
    assert job.wait() == "COMPLETED", job.output
    assert weights(run) == weights(undisturbed)


def test_a_job_at_its_time_limit_is_requeued_and_resumes_to_the_same_bits(
    cluster: Cluster, job_folder: Path, undisturbed: Path
) -> None:
    script, run = job_folder / "pretrain.sbatch", job_folder / "runs" / "msa"
    limit = f"{TWO_TASKS} --time=2 --signal=USR1@30"
    job = cluster.submit(script, *TRAIN, *STEPS, options=limit)
    wait_for_checkpoint(run)
    # They wait for the limit without taking the processor; SLURM continues them for its signal.
    for host in cluster.hosts:
        for number in tasks(host, "pretrain"):
            os.kill(number, signal.SIGSTOP)
    job.skip_the_wait_of_a_requeued_job()
    assert job.wait() == "COMPLETED", job.output
    assert job.output.count("error: stopped") == 1, job.output
    assert weights(run) == weights(undisturbed)


def test_a_preempted_job_is_requeued_and_resumes_to_the_same_bits(
    cluster: Cluster, job_folder: Path, undisturbed: Path
) -> None:
    script, run = job_folder / "pretrain.sbatch", job_folder / "runs" / "msa"
    job = cluster.submit(script, *TRAIN, *STEPS, options=TWO_TASKS)
    wait_for_checkpoint(run)
    (job_folder / "urgent.sbatch").write_text("#!/bin/bash\nsleep 1\n")
    whole = "--partition=urgent --nodes=2 --exclusive"
    urgent = cluster.submit(job_folder / "urgent.sbatch", options=whole)
    job.skip_the_wait_of_a_requeued_job()
    assert urgent.wait() == "COMPLETED"
    assert job.wait() == "COMPLETED", job.output
    assert job.output.count("error: stopped") == 1, job.output
    assert weights(run) == weights(undisturbed)


def test_an_array_trains_a_run_per_seed(cluster: Cluster, job_folder: Path) -> None:
    array = cluster.submit(job_folder / "seeds.sbatch", *TRAIN, "--steps", 1, options="--array=0-1")
    jobs = [Job(cluster, f"{array.number}_{seed}") for seed in range(2)]
    assert [job.wait() for job in jobs] == ["COMPLETED"] * 2, [job.output for job in jobs]
    settings = [job_folder / "runs" / f"msa-{seed}" / "run.json" for seed in range(2)]
    seeds = [json.loads(path.read_text())["training"]["seed"] for path in settings]
    assert seeds == [0, 1]


@pytest.mark.parametrize("name", ["USR1", "TERM"])
def test_without_srun_one_process_trains_and_a_signal_requeues_it(
    cluster: Cluster, job_folder: Path, name: str
) -> None:
    run = job_folder / "runs" / "msa"
    job = cluster.submit(job_folder / "single.sbatch", *TRAIN, *STEPS, options="--ntasks=4")
    wait_for_checkpoint(run)
    assert len(tasks(cluster.hosts[0], "pretrain")) == 1
    cluster.run("scancel", "--batch", f"--signal={name}", job.number)
    job.skip_the_wait_of_a_requeued_job()
    assert job.wait() == "COMPLETED", job.output
    assert job.output.count("error: stopped") == 1, job.output
    assert json.loads((run / "run.json").read_text())["training"]["processes"] == 1
    assert weights(run)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ("MASTER_ADDR=nowhere.invalid", "cannot connect to nowhere.invalid"),
        ("MASTER_PORT=6818", "6818"),  # the port of slurmd
    ],
)
def test_a_host_that_is_unknown_or_a_port_that_is_taken_ends_all_tasks(
    cluster: Cluster, job_folder: Path, variables: str, message: str
) -> None:
    options = f"{TWO_TASKS} --export=ALL,MSCOL_TIMEOUT=5,{variables}"
    job = cluster.submit(job_folder / "pretrain.sbatch", *TRAIN, "--steps", 1, options=options)
    assert job.wait() == "FAILED"
    assert job.exit_code == 1, job.output
    assert all(message in line for line in errors(job)), job.output
    assert errors(job)
