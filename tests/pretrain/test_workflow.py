"""Pre-training through the command line: runs, resuming, many processes, interruptions."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mscol_cli.engine.models import build_encoder
from mscol_cli.errors import MscolError
from mscol_cli.host import find_part, load_registry
from mscol_cli.pretrain import settings
from mscol_cli.pretrain.training import Training, learning_rate
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.runs.layout import STAMP
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.files import leave_behind
from tests.helpers.messages import mentions
from tests.helpers.training import crops, metrics, networks

QUICK = ["--encoder", "small", "--batch-size", 8, "--device", "cpu"]


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def weights(run: Path) -> dict[str, torch.Tensor]:
    newest = run / "checkpoints" / names(run)[-1]
    return {
        f"{file.stem}/{name}": tensor
        for file in newest.glob("*.safetensors")
        for name, tensor in load_file(file).items()
    }


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_run_holds_settings_checkpoint_and_curves(trained: Path, store: Path) -> None:
    settings = json.loads((trained / "run.json").read_text())
    assert settings["objective"]["parts"][0]["options"]["silent_share"] == 0.5
    assert settings["store"]["path"] == str(store)
    checkpoint = trained / "checkpoints" / "step-00000006"
    assert {path.name for path in checkpoint.iterdir()} == {
        "encoder.safetensors",
        "objective.safetensors",
        "optimizer.safetensors",
        "run.json",
    }
    assert all(path.stat().st_mode & 0o044 == 0o044 & ~umask() for path in checkpoint.iterdir())
    assert metrics(trained)[-1]["step"] == 6
    board = EventAccumulator(str(trained / "tensorboard")).Reload()
    assert {"loss", "accuracy", "learning_rate"} <= set(board.Tags()["scalars"])


def test_the_defaults_are_the_newest_store_and_a_numbered_run(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "music.store").symlink_to(store)
    for _ in range(2):
        assert mscol("pretrain", "--objective", "cola", *QUICK, "--steps", 1) == 0
    assert "store data/music.store" in capsys.readouterr().err
    assert (tmp_path / "runs" / "cola-small-2" / "run.json").exists()
    assert (tmp_path / "runs" / "latest").readlink() == Path("cola-small-2")


def test_only_a_run_inside_runs_with_a_checkpoint_becomes_the_latest(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    latest = tmp_path / "runs" / "latest"
    line = ["pretrain", store, "--objective", "cola", *QUICK, "--steps", 1, "-o"]
    assert mscol(*line, "trial") == 0
    assert not latest.exists()
    for name in ("runs/first", "runs/study/second"):
        assert mscol(*line, name) == 0
    assert latest.readlink() == Path("study/second")


def test_a_run_that_never_saved_is_not_the_latest(
    mscol: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["pretrain", store, "--objective", "cola", *QUICK, "--steps", 2, "-o"]
    assert mscol(*line, "runs/good") == 0
    assert mscol(*line, "runs/bad", "--lr", 1e30) == 1
    assert (tmp_path / "runs" / "bad" / "run.json").exists()
    assert (tmp_path / "runs" / "latest").readlink() == Path("good")


def test_resuming_a_finished_run_says_so_without_importing_torch(trained: Path) -> None:
    program = (
        "import sys\nfrom mscol_cli.app import run\n"
        "assert run(['pretrain', '--objective', 'msa', '--resume', '-o', sys.argv[1]]) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    line = [sys.executable, "-c", program, str(trained)]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    assert mentions(done.stderr, "finished after 6 updates", "--steps N")
    assert done.stdout.startswith(f"{trained}: 6 steps, loss ")


def test_a_finished_run_given_options_that_need_a_closer_look_is_not_trained(
    mscol: Command, trained: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "state.json").read_text()
    assert mscol("pretrain", store, "--resume", "-o", trained, "--opt", "silent_share=0.5") == 0
    assert "finished after 6 updates" in capsys.readouterr().err
    assert (trained / "state.json").read_text() == before
    assert mscol("pretrain", "--resume", "-o", trained, "--batch-size", 4) == 2
    assert "batch_size 8 -> 4" in capsys.readouterr().err


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    start = ["pretrain", store, "--objective", "mws", *QUICK, "--seed", 3]
    assert mscol(*start, "--steps", 6, "-o", tmp_path / "whole") == 0
    assert mscol(*start, "--steps", 6, "--save-every", 2, "-o", tmp_path / "parts") == 0
    last = tmp_path / "parts" / "checkpoints" / "step-00000006"
    last.rename(tmp_path / "lost")
    assert mscol("pretrain", "--resume", "-o", tmp_path / "parts") == 0
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert [line["step"] for line in metrics(tmp_path / "parts")] == [6]


@pytest.mark.slow
@pytest.mark.processes
def test_two_processes_train_what_one_does(
    mscol: Command, store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    left_alone = ("OMP_NUM_THREADS", "TORCHELASTIC_SIGNALS_TO_HANDLE", "MSCOL_LAUNCHER")
    environment = {name: os.environ.get(name) for name in left_alone}
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    # One update: Adam's first step already blows rounding up, where a gradient is near zero.
    start = ["pretrain", store, "--objective", "msa", *QUICK, "--steps", 1]
    assert mscol(*start, "-o", tmp_path / "one") == 0
    assert mscol(*start, "--processes", 2, "-o", tmp_path / "two") == 0
    assert metrics(tmp_path / "two")[-1]["loss"] == pytest.approx(
        metrics(tmp_path / "one")[-1]["loss"], rel=1e-5
    )
    assert "Warning" not in capfd.readouterr().err
    assert weights(tmp_path / "two").keys() == weights(tmp_path / "one").keys()
    assert {name: os.environ.get(name) for name in left_alone} == environment
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.slow
def test_no_steps_save_the_untrained_encoder_which_can_be_trained_later(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    options = [store, "--objective", "msa", *QUICK, "--seed", 5]
    assert mscol("pretrain", *options, "--steps", 0, "-o", tmp_path / "later") == 0
    encoder = build_encoder(find_part(load_registry(), "encoder", "small"), seed=5)
    saved = load_file(tmp_path / "later/checkpoints/step-00000000/encoder.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in encoder.state_dict().items())
    assert mscol("pretrain", "--resume", "--steps", 2, "-o", tmp_path / "later") == 0
    assert mscol("pretrain", *options, "--steps", 2, "-o", tmp_path / "whole") == 0
    later, whole = weights(tmp_path / "later"), weights(tmp_path / "whole")
    assert all(torch.equal(later[name], whole[name]) for name in whole)


def test_a_resumed_run_refuses_other_settings(
    mscol: Command, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = ["--lr", 0.1, "--opt", "silent_share=0"]
    assert mscol("pretrain", "--resume", "-o", trained, *changed) == 2
    message = capsys.readouterr().err
    assert "(learning_rate 0.001 -> 0.1; silent_share 0.5 -> 0.0)" in message


@pytest.mark.parametrize("kind", ["encoder", "objective"])
def test_a_run_whose_plugin_is_not_installed_names_it(
    mscol: Command, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "strange"))
    info = json.loads((run / "run.json").read_text())
    part = info[kind] if kind == "encoder" else info[kind]["parts"][0]
    part |= {"name": "strange", "owner": "elsewhere", "version": "2"}
    info["objective"]["name"] = info["objective"]["parts"][0]["name"]
    info["training"]["steps"] += 1
    (run / "run.json").write_text(json.dumps(info))
    assert mscol("pretrain", "--resume", "-o", run) == 2
    told = capsys.readouterr().err
    assert mentions(told, f"{run} needs the plugin elsewhere 2, install it: no {kind} is called")


def test_an_option_that_is_newer_than_a_run_has_its_default(
    mscol: Command, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "older"))
    recorded = json.loads((run / "run.json").read_text())
    del recorded["objective"]["parts"][0]["options"]["similarity"]
    (run / "run.json").write_text(json.dumps(recorded))
    changed = ["--opt", "similarity=bilinear", "--opt", "silent_share=0"]
    assert mscol("pretrain", "--resume", "-o", run, *changed) == 2
    assert "(silent_share 0.5 -> 0.0)" in capsys.readouterr().err


def test_a_run_folder_in_use_is_refused(
    mscol: Command, store: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("pretrain", store, "--objective", "cola", *QUICK, "-o", trained) == 2
    assert mentions(capsys.readouterr().err, "-o", "--resume")


def test_a_loss_that_is_no_number_ends_the_run(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["pretrain", store, "--objective", "cola", *QUICK, "--steps", 30]
    assert mscol(*start, "--lr", 1e30, "-o", tmp_path / "run") == 1
    assert "nan at step 10: " in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_checkpoint_is_whole_and_of_numbers_or_is_not_there(store: Path, tmp_path: Path) -> None:
    built, cpu = networks("msa"), torch.device("cpu")
    info, source = {**STAMP, "encoder": {"name": "small", "options": {}}}, crops(store, built)
    settings = TrainingSettings()
    training = Training(tmp_path, info, settings, built.encoder, built.objective, source, cpu)
    leave_behind(tmp_path / "checkpoints" / "step-00000007").mkdir()
    training.save()
    training.step += 1
    with torch.no_grad():
        next(built.objective.parameters()).fill_(torch.inf)
    with pytest.raises(MscolError, match="at step 1"):
        training.save()
    assert names(tmp_path) == ["best", "step-00000000"]


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    ("asked", "processes", "repeated"),
    [
        (signal.SIGINT, 1, False),
        (signal.SIGTERM, 1, False),
        (signal.SIGUSR1, 1, True),
        (signal.SIGUSR1, 2, False),
        (signal.SIGTERM, 2, True),
    ],
)
def test_a_signal_saves_and_exits_130(
    store: Path, tmp_path: Path, asked: signal.Signals, processes: int, repeated: bool
) -> None:
    endless = ["--steps", 100_000, "--processes", processes, "-o", tmp_path / "run"]
    options = [str(option) for option in (*QUICK, *endless)]
    command = [sys.executable, "-m", "mscol_cli", "pretrain", str(store), "--objective", "cola"]
    process = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        _wait_for(tmp_path / "run" / "metrics.jsonl")
        process.send_signal(asked)
        while repeated and process.poll() is None:
            time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
        _, message = process.communicate(timeout=60)
        _wait_for_end_of_group(process.pid)
    finally:
        process.kill()  # or it would train on, should this test fail
    assert process.returncode == 130
    assert "--resume" in message.splitlines()[-1]
    assert message.count("error: ") == 1
    step = int(re.findall(r"stopped at step (\d+) of", message)[0])
    assert names(tmp_path / "run") == [f"step-{step:08d}"]
    assert [line["step"] for line in metrics(tmp_path / "run")] == list(range(10, step + 1, 10))
    assert json.loads((tmp_path / "run" / "state.json").read_text())["state"] == "interrupted"


def _wait_for_end_of_group(group: int) -> None:
    """Fail if a process of a group outlives its first one by more than five seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process outlives the command")


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.processes
def test_torchrun_joins_instead_of_starting_processes(store: Path, tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    options = [str(option) for option in (*QUICK, "--steps", 2, "-o", tmp_path / "run")]
    command = [*torchrun, "-m", "mscol_cli", "pretrain", str(store), "--objective", "msa"]
    subprocess.run(
        [sys.executable, *command, *options], check=True, capture_output=True, cwd=tmp_path
    )
    assert json.loads((tmp_path / "run" / "run.json").read_text())["training"]["processes"] == 2
    assert metrics(tmp_path / "run")[-1]["step"] == 2


def test_the_learning_rate_is_halved_half_way() -> None:
    settings = TrainingSettings(steps=10, learning_rate=1.0)
    assert [learning_rate(settings, step) for step in (0, 4, 5, 9)] == [1.0, 1.0, 0.5, 0.5]


def test_the_learning_rate_rises_and_falls_as_a_cosine() -> None:
    settings = TrainingSettings(steps=6, learning_rate=2.0, schedule="cosine", warmup=2)
    rates = [learning_rate(settings, step) for step in range(6)]
    expected = [1.0, 2.0, 2.0, *(1 + math.cos(math.pi * part / 4) for part in (1, 2, 3))]
    assert rates == pytest.approx(expected)
    constant = replace(settings, schedule="constant")
    assert [learning_rate(constant, step) for step in range(3)] == [1.0, 2.0, 2.0]


def test_a_run_with_decay_and_a_schedule_resumes_with_the_same_weights(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    options = ["--schedule", "cosine", "--warmup", 2, "--weight-decay", 0.1]
    start = ["pretrain", store, "--objective", "cola", *QUICK, *options, "--save-every", 2]
    assert mscol(*start, "--steps", 4, "-o", tmp_path / "whole") == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "resumed")
    shutil.rmtree(tmp_path / "resumed/checkpoints/step-00000004")
    assert mscol("pretrain", "--resume", "-o", tmp_path / "resumed") == 0
    one, other = (
        load_file(tmp_path / name / "checkpoints/step-00000004/encoder.safetensors")
        for name in ("whole", "resumed")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics(tmp_path / "whole")[-1]["learning_rate"] == pytest.approx(5e-4)


def test_the_revision_of_a_repository_around_an_installed_package_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Path(settings.__file__).parents[2]
    assert (settings.describe_software()["git"] is None) == (not (checkout / ".git").exists())
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)
    installed = tmp_path / ".venv" / "mscol_cli" / "pretrain" / "settings.py"
    monkeypatch.setattr(settings, "__file__", str(installed))
    assert settings.describe_software()["git"] is None


def test_result_as_json(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["pretrain", store, "--objective", "cola", *QUICK, "--steps", 1]
    assert mscol(*start, "-o", tmp_path / "run", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steps"] == 1
    assert result["checkpoint"].endswith("step-00000001")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 0}, "has layout mscol-run 0, this mscol reads mscol-run 1"),
        ({"encoder": {"name": "gone", "owner": "mscol-gone", "version": "3", "options": {}}},
         "mscol-gone 3"),
        ({"encoder": {"name": "small", "owner": "mscol-gone", "version": "3", "options": {}}},
         "needs encoder 'small' of mscol-gone 3; installed is that of mscol"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_world_is_refused(
    mscol: Command,
    trained: Path,
    tmp_path: Path,
    change: dict[str, Any],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    source = trained / "checkpoints" / "step-00000006"
    (model / "encoder.safetensors").symlink_to(source / "encoder.safetensors")
    info = {**json.loads((source / "run.json").read_text()), **change}
    (model / "run.json").write_text(json.dumps(info))
    clip = write_audio(tmp_path / "clip.wav", tones(2.0))
    assert mscol("embed", clip, "--model", model) == 2
    assert message in capsys.readouterr().err
