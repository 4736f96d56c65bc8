"""`mscol.separate`, `pretrain` and `probe`: what they do, and what they leave alone."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch

import mscol
from mscol._options import ProbeOptions
from mscol_cli.app import run as run_app
from mscol_cli.recipes.options import PRETRAIN, PretrainOptions
from mscol_cli.synthetic import Collection
from mscol_cli.system.signals import STOPPING
from tests.helpers.audio import tones, write_audio
from tests.helpers.commands import VISIBLE

ONLY_IN_A_SHELL = {"json", "dry_run", "check_chunking", "help"}
OTHER_NAMES = {
    "pretrain": {"opt": "objective_options", "encoder_opt": "encoder_options", "run": "output"},
    "separate": {"opt": "options"},
    "probe": {
        "opt": "options",
        "label_fraction": "label_fractions",
        "tasks": "task",
        "models": "model",
        "reuse": "output",  # for several probes only
    },
}
SMALL: Mapping[str, Any] = {
    "objective": "msa",
    "encoder": "small",
    "batch_size": 4,
    "device": "cpu",
}


def state() -> dict[str, Any]:
    """What a call must leave as it was."""
    # Set once, when torch's compiler and scikit-learn are imported.
    once = ("TORCHINDUCTOR_CACHE_DIR", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")
    ignored = dict.fromkeys(("PYTEST_CURRENT_TEST", *once), "")
    return {
        "random": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index]
        "environment": {**os.environ, **ignored},
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, *STOPPING)],
        "logging": (logging.root.manager.disable, logging.root.level, logging.root.handlers[:]),
        "threads": torch.get_num_threads(),
        "tf32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        "gradients": torch.is_grad_enabled(),
        "folder": Path.cwd(),
    }


@pytest.fixture(autouse=True)
def nothing_else_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Every call here prints nothing and leaves the process as it was."""
    monkeypatch.chdir(tmp_path)
    before = state()
    yield
    monkeypatch.chdir(tmp_path)
    assert state() == before
    assert capfd.readouterr() == ("", "")


def write_sounds(folder: Path) -> None:
    """Two classes, hiss and hum, of eight clips each."""
    for number in range(8):
        noise = np.random.default_rng(number).standard_normal((1, 24_000)).astype(np.float32)
        write_audio(folder / "hiss" / f"{number}.wav", 0.1 * noise)
        write_audio(folder / "hum" / f"{number}.wav", tones(1.5, seed=number))


def in_thread(call: Callable[[], Any]) -> Any:
    results: list[Any] = []

    def work() -> None:
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results[0]


def test_separate_makes_a_store_and_lists_what_it_skipped(collection: Collection) -> None:
    (first, *_) = sorted(path for path in Path(collection.stems).rglob("*.wav"))
    Path("music").mkdir()
    Path("music", "song.wav").write_bytes(first.read_bytes())
    Path("music", "bad.wav").write_bytes(b"no audio")
    updates: list[mscol.ProgressUpdate] = []
    with pytest.warns(mscol.MscolWarning, match=r"bad\.wav") as warned:
        result = mscol.separate("music", separator="none", progress=updates.append)
    assert {warning.filename for warning in warned} == {__file__}
    assert [name for name, _ in result.failures] == ["bad"]
    assert (updates[-1].done, updates[-1].total) == (2, 2)
    assert any("1 track" in update.note or "2 track" in update.note for update in updates)
    store = mscol.Store.open(str(result.store))
    assert store.index.track_ids == ("song",)


@pytest.mark.slow
def test_separate_takes_options_of_the_separator(collection: Collection) -> None:
    with pytest.raises(mscol.UsageError, match="no_such"):
        mscol.separate(collection.stems, "a.store", separator="stems", options={"no_such": 1})
    options = {"lowpass_hz": 4000, "mix": "random"}
    result = mscol.separate(collection.stems, "a.store", separator="stems", options=options)
    recorded = mscol.Store.open(result.store).header.separator.options
    assert (recorded["lowpass_hz"], recorded["mix"]) == (4000, "random")


@pytest.mark.slow
def test_pretrain_trains_and_resumes_after_an_interrupt(store: Path) -> None:
    def interrupt(update: mscol.ProgressUpdate) -> None:
        if update.stage == "pretrain" and update.done == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(mscol.Interrupted, match="stopped at step 2 of 4"):
        mscol.pretrain(store, output="run", steps=4, progress=interrupt, **SMALL)
    result = mscol.pretrain(output="run", resume=True)
    assert (result.run, result.steps) == (Path("run"), 4)
    assert mscol.load("run", device="cpu").step == 4


def test_pretrain_works_in_a_thread(store: Path) -> None:
    done: list[tuple[str, int]] = []

    def watch(update: mscol.ProgressUpdate) -> None:
        done.append((update.stage, update.done))

    result = in_thread(lambda: mscol.pretrain(store, steps=2, progress=watch, **SMALL))
    assert result.run == Path("runs", "msa-small-1")
    assert done[-1] == ("pretrain", 2)


@pytest.mark.slow
@pytest.mark.processes
def test_pretrain_works_in_a_thread_with_processes_of_its_own(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.disable(logging.DEBUG)
    result = in_thread(lambda: mscol.pretrain(store, steps=2, processes=2, **SMALL))
    assert logging.root.manager.disable == logging.DEBUG
    logging.disable(logging.NOTSET)
    assert result.steps == 2
    assert capfd.readouterr().out == ""  # the processes print progress on stderr


def test_an_exception_of_the_callback_stops_the_work(store: Path) -> None:
    def fail(update: mscol.ProgressUpdate) -> None:
        if update.done:
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        mscol.pretrain(store, steps=2, progress=fail, **SMALL)


@pytest.mark.slow
def test_probe_scores_and_probe_table_compares() -> None:
    write_sounds(Path("data", "folder"))
    options: dict[str, Any] = {
        "seeds": 1,
        "classifier": "linear",
        "options": {"valid": 0.25, "test": 0.25},
        "device": "cpu",
        "encoder": "small",
    }
    result = mscol.probe("folder", "untrained", noise=[20], **options)
    name, score = result.test_sets[0].headline
    assert name == "accuracy"
    assert 0 <= score.low <= score.value <= score.high <= 1
    assert result.protocol["classifier"] == "linear"
    assert {scored.deformation for scored in result.deformed} == {"noise 20 dB"}
    folders = {"folder": "data/folder"}
    table = mscol.probe_table(["folder"], ["untrained"], data=folders, reuse=True, **options)
    assert [row.model for row in table.rows] == ["untrained-small"]


@pytest.mark.parametrize("function", [mscol.pretrain, mscol.probe])
def test_an_unknown_option_is_a_type_error(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"\(\) got an unexpected keyword argument 'stepz'"):
        function("folder", stepz=1)


def test_pretrain_has_the_options_of_the_table() -> None:
    flags = {item.name: item.kind for item in PRETRAIN if item.metadata["flag"]}
    assert get_type_hints(PretrainOptions) == flags


@pytest.mark.parametrize("command", OTHER_NAMES)
def test_every_option_of_a_command_is_an_argument(command: str) -> None:
    names = {parameter.name for parameter in VISIBLE[command].params} - ONLY_IN_A_SHELL
    arguments = set(inspect.signature(getattr(mscol, command)).parameters)
    arguments |= {*PretrainOptions.__annotations__} if command == "pretrain" else set()
    arguments |= {*ProbeOptions.__annotations__} if command == "probe" else set()
    assert {OTHER_NAMES[command].get(name, name) for name in names} <= arguments


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (["pretrain", "gone", "--encoder", "smal"], lambda: mscol.pretrain(encoder="smal")),
        (
            ["pretrain", "--resume", "-o", "gone"],
            lambda: mscol.pretrain(output="gone", resume=True),
        ),
        (["pretrain", "gone"], lambda: mscol.pretrain("gone")),
        (["separate", "gone"], lambda: mscol.separate("gone")),
        (["probe", "fma"], lambda: mscol.probe("fma")),
        (["probe", "fna"], lambda: mscol.probe("fna")),
        (["embed", "a.wav", "--model", "gone"], lambda: mscol.load("gone")),
    ],
)
def test_an_error_has_the_text_of_the_command_line(
    arguments: list[str], call: Callable[[], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    write_audio(Path("a.wav"), tones(1.0))
    code = run_app(arguments)
    printed = capfd.readouterr().err
    with pytest.raises(mscol.MscolError) as raised:
        call()
    assert printed == f"error: {raised.value}\n"
    assert raised.value.exit_code == code
