"""Training that is stopped, killed, short of room or damaged goes on as if it had not been."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mscol_cli.errors import UsageError
from mscol_cli.runs.state import training_lock
from tests.conftest import Command, run_in
from tests.helpers.files import digests, leave_behind
from tests.helpers.messages import mentions

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
QUICK = ["--encoder", "small", "--batch-size", 8, "--device", "cpu", "--seed", 3]
TIMES = {"pairs_per_second", "data_wait", "elapsed_s", "memory_bytes"}
LIMITED = """
import resource, signal, sys
from mscol_cli.__main__ import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
del sys.argv[1]
main()
"""

pytestmark = pytest.mark.slow


def metrics(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def tensors(run: Path) -> dict[str, str]:
    """Weights of encoder and objective, and the optimiser's state, of every checkpoint."""
    found = digests(run / "checkpoints", "*.safetensors")
    return {name: value for name, value in found.items() if name.startswith("step-")}


def best(run: Path) -> str:
    return (run / "checkpoints" / "best").readlink().name


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 24 updates in one piece, which keeps all six checkpoints."""
    run = tmp_path_factory.mktemp("whole") / "run"
    options = ["--steps", 24, "--save-every", 4, "--keep-last", 9, "-o", run]
    line = ["pretrain", store, "--objective", "mws", *QUICK, *options]
    run_in(run.parent, line)
    return run


@pytest.fixture
def half(whole: Path, tmp_path: Path) -> Path:
    """The same run as it was after twelve updates."""
    run = tmp_path / "half"
    shutil.copytree(whole, run, symlinks=True)
    for step in (16, 20, 24):
        shutil.rmtree(run / "checkpoints" / f"step-{step:08d}")
    (run / "checkpoints" / "best").unlink()
    return run


@pytest.mark.processes
def test_a_run_that_is_stopped_and_killed_equals_a_whole_one(
    whole: Path, store: Path, tmp_path: Path
) -> None:
    options = ["--steps", 24, "--save-every", 4, "--keep-last", 99, "--resume", "-o", "parts"]
    line = [
        ROOT / "tests" / "processes" / "stopped_training.py",
        "pretrain",
        store,
        "--objective",
        "mws",
        *QUICK,
    ]
    done = subprocess.run(
        [sys.executable, *map(str, [*line, *options])],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    codes = json.loads(done.stdout.splitlines()[-1])
    assert codes.keys() == {"0", "130", "-9"}, done.stderr
    parts = tensors(tmp_path / "parts")
    assert {name: parts[name] for name in tensors(whole)} == tensors(whole)
    assert metrics(tmp_path / "parts") == metrics(whole)
    assert best(tmp_path / "parts") == best(whole)


def test_a_full_disk_costs_no_checkpoint(mscol: Command, whole: Path, half: Path) -> None:
    size = (half / "checkpoints" / "step-00000012" / "optimizer.safetensors").stat().st_size
    line = [LIMITED, size - 1, "pretrain", "--resume", "-o", half]
    done = subprocess.run(
        [sys.executable, "-c", *map(str, line)], capture_output=True, text=True, cwd=half.parent
    )
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith("error: ")
    assert mentions(message, "step 16", "step 12", "--resume")
    assert names(half)[-1] == "step-00000012"
    assert mscol("pretrain", "--resume", "-o", half) == 0
    assert tensors(half) == tensors(whole)


def test_a_damaged_checkpoint_costs_the_updates_since_the_one_before(
    mscol: Command, whole: Path, half: Path, capsys: Capture
) -> None:
    damaged = half / "checkpoints" / "step-00000012" / "optimizer.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert mscol("pretrain", "--resume", "-o", half) == 0
    assert "step 8" in capsys.readouterr().err
    assert "damaged-1-step-00000012" in names(half)
    assert tensors(half) == tensors(whole)
    assert metrics(half) == metrics(whole)


@pytest.mark.parametrize("damage", [b"{half\n", b"\x00\xff\n", b"[1]\n", b'{"loss": 2}\n'])
def test_damaged_lines_of_the_metrics_are_said_and_dropped(
    mscol: Command, whole: Path, half: Path, capsys: Capture, damage: bytes
) -> None:
    file = half / "metrics.jsonl"
    file.write_bytes(damage + file.read_bytes())
    assert mscol("pretrain", "--resume", "-o", half) == 0
    assert "metrics.jsonl: 1 damaged line" in capsys.readouterr().err
    assert metrics(half) == metrics(whole)


def test_a_run_is_trained_by_one_at_a_time(mscol: Command, half: Path, capsys: Capture) -> None:
    before = (half / "run.json").read_bytes()
    with training_lock(half):
        assert mscol("pretrain", "--resume", "-o", half, "--steps", 30) == 2
    assert "another process" in capsys.readouterr().err
    assert (half / "run.json").read_bytes() == before
    assert not (half / "state.json").read_text().count("failed")


@pytest.mark.processes
def test_processes_end_when_what_launched_them_is_killed(store: Path, tmp_path: Path) -> None:
    options = [*QUICK, "--steps", 100_000, "--save-every", 1, "--processes", 2, "-o", "run"]
    line = [sys.executable, "-m", "mscol_cli", "pretrain", store, "--objective", "cola", *options]
    with subprocess.Popen([*map(str, line)], cwd=tmp_path, stderr=subprocess.DEVNULL) as launcher:
        wait_until(lambda: any(tmp_path.glob("run/checkpoints/step-*")))
        launcher.kill()
    wait_until(lambda: is_free(tmp_path / "run"))


@pytest.mark.processes
def test_a_process_that_is_left_alone_says_so_and_where_to_go_on(
    store: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    options = [*QUICK, "--steps", 100_000, "--save-every", 1, "-o", "run"]
    line = [sys.executable, "-m", "mscol_cli", "pretrain", store, "--objective", "cola", *options]
    first, second = (
        subprocess.Popen(
            [*map(str, line)],
            cwd=tmp_path,
            env={**os.environ, **told, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    )
    wait_until(lambda: any(tmp_path.glob("run/checkpoints/step-*")))
    second.kill()
    second.communicate()
    message = first.communicate(timeout=60)[1].splitlines()[-1]
    assert first.returncode == 1
    assert message.startswith("error: ")
    assert mentions(message, "another process", "run", "--resume")
    reason = json.loads((tmp_path / "run" / "state.json").read_text())["reason"]
    assert message == f"error: {reason}"


def is_free(run: Path) -> bool:
    try:
        with training_lock(run):
            return True
    except UsageError:
        return False


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_with_no_checkpoint_left_to_read_nothing_is_changed(
    mscol: Command, half: Path, capsys: Capture
) -> None:
    for file in half.glob("checkpoints/step-*/encoder.safetensors"):
        file.write_bytes(b"no tensors")
    before = names(half), metrics(half)
    assert mscol("pretrain", "--resume", "-o", half) == 2
    assert "damaged" in capsys.readouterr().err
    assert (names(half), metrics(half)) == before


def test_the_last_checkpoints_are_kept_and_the_best(
    mscol: Command, store: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ["--steps", 24, "--save-every", 4, "--keep-last", 1, "-o", run]
    assert mscol("pretrain", store, "--objective", "mws", *QUICK, *options) == 0
    losses = {
        path.parent.name: json.loads(path.read_text())["loss"]
        for path in whole.glob("checkpoints/step-*/run.json")
    }
    assert len(losses) == 6
    assert best(run) == best(whole) == min(losses, key=lambda name: losses[name])
    assert names(run) == sorted({"best", best(run), "step-00000024"})
    assert mscol("embed", store, "--model", run / "checkpoints" / "best", "-o", "x.npz") == 0


@pytest.mark.processes
def test_what_changes_at_a_resume_is_said(mscol: Command, half: Path, capsys: Capture) -> None:
    changes = ["--steps", 16, "--processes", 2, "--keep-last", 1, "--precision", "bf16"]
    assert mscol("pretrain", "--resume", "-o", half, *changes) == 0
    expected = "steps 24 -> 16; keep_last 9 -> 1; precision auto -> bf16; processes 1 -> 2"
    assert expected in " ".join(capsys.readouterr().err.split())
    assert [line["step"] for line in metrics(half)] == [10, 16]
    assert json.loads((half / "run.json").read_text())["training"]["processes"] == 2


def test_a_resume_elsewhere_says_that_numbers_are_rounded_otherwise(
    mscol: Command, half: Path, capsys: Capture
) -> None:
    line = ["pretrain", "--resume", "-o", half, "--steps"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert mscol(*line, 13) == 0
    capsys.readouterr()
    torch.set_num_threads(threads + 1)
    assert mscol(*line, 14) == 0
    torch.set_num_threads(threads)
    assert f"threads 1 -> {threads + 1}" in capsys.readouterr().err


def test_the_best_checkpoint_is_chosen_after_a_kill_before_it_was(
    mscol: Command, whole: Path, half: Path
) -> None:
    shutil.rmtree(half)
    shutil.copytree(whole, half, symlinks=True)
    losses = {
        path.name: json.loads((path / "run.json").read_text())["loss"]
        for path in (half / "checkpoints").glob("step-*")
    }
    (half / "checkpoints" / "best").unlink()
    (half / "checkpoints" / "best").symlink_to(max(losses, key=losses.__getitem__))
    (half / "state.json").write_text('{"state": "interrupted"}')
    assert mscol("pretrain", "--resume", "-o", half) == 0
    assert best(half) == best(whole) == min(losses, key=losses.__getitem__)


def test_a_run_whose_settings_were_being_written_begins_again(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    leave_behind(run / "run.json").write_text('{"format": "mscol-run", "ver')
    line = ["pretrain", store, "--objective", "mws", *QUICK, "--steps", 2, "-o", run]
    assert mscol(*line) == 0
    assert not [*run.glob(".run.*")]


def test_one_command_begins_and_goes_on(
    mscol: Command, store: Path, tmp_path: Path, capsys: Capture
) -> None:
    run = tmp_path / "run"
    line = ["pretrain", store, "--objective", "mws", *QUICK, "--steps", 2]
    assert mscol(*line, "--dry-run") == 0
    run.mkdir()  # as a process leaves it that is killed before it has begun
    (run / "recipe.toml").write_text(capsys.readouterr().out)
    assert mscol(*line, "--resume", "-o", run) == 0
    before = tensors(run)
    assert mscol(*line, "--resume", "-o", run) == 0
    assert tensors(run) == before


def test_one_command_with_a_recipe_begins_and_goes_on(
    mscol: Command, store: Path, tmp_path: Path, capsys: Capture
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        '[pretrain]\nobjective = "msa"\nlr = 0.01\n[objectives.msa]\nstems = "drums"\n'
    )
    line = ["pretrain", store, "--recipe", recipe, *QUICK, "--resume", "-o", tmp_path / "run"]
    assert mscol(*line, "--steps", 2) == 0
    assert mscol(*line, "--steps", 3) == 0
    assert metrics(tmp_path / "run")[-1]["step"] == 3
    capsys.readouterr()
    recipe.write_text('[pretrain]\nlr = 0.02\n[objectives.msa]\nstems = "bass"\n')
    assert mscol(*line) == 2
    differences = "(learning_rate 0.01 -> 0.02; stems ['drums'] -> ['bass'])"
    assert differences in capsys.readouterr().err


def test_a_run_goes_on_with_its_store_in_another_place(
    mscol: Command, store: Path, half: Path, whole: Path, tmp_path: Path, capsys: Capture
) -> None:
    info = json.loads((half / "run.json").read_text())
    info["store"]["path"] = str(tmp_path / "gone.store")
    (half / "run.json").write_text(json.dumps(info))
    before = digests(half, "*.json")
    assert mscol("pretrain", "--resume", "-o", half) == 4
    assert "gone.store" in capsys.readouterr().err
    assert digests(half, "*.json") == before
    assert mscol("pretrain", store, "--resume", "-o", half) == 0
    assert tensors(half) == tensors(whole)


def test_updates_that_were_made_cannot_be_taken_back(
    mscol: Command, half: Path, capsys: Capture
) -> None:
    assert mscol("pretrain", "--resume", "-o", half, "--steps", 11) == 2
    assert mentions(capsys.readouterr().err, half, "step 12")


def test_a_folder_of_other_things_is_no_run_to_begin(
    mscol: Command, store: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "thesis.tex").touch()
    line = ["pretrain", store, "--objective", "mws", *QUICK, "--resume", "-o", tmp_path]
    assert mscol(*line) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
