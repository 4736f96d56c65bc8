"""`auto` is never worse than eager float32: modes that fail, differ or need too much memory."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch._inductor import config as inductor

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.plans import CropPlan, StoreIndex
from mscol_cli.contracts.progress import Silent
from mscol_cli.engine.optimizer import adam
from mscol_cli.errors import MscolError
from mscol_cli.pretrain import batches, modes, step
from mscol_cli.pretrain.adapting import Adaptation
from mscol_cli.pretrain.batches import Batch, BatchStream
from mscol_cli.pretrain.modes import PLAIN, Mode, ModeChoice
from mscol_cli.pretrain.settling import Settled, settle
from mscol_cli.pretrain.step import Pretraining
from mscol_cli.pretrain.step_check import LIMITS, Difference, StepCheck
from tests.conftest import Command
from tests.helpers.messages import mentions
from tests.helpers.plugins import install_plugin
from tests.helpers.training import crops, networks

CPU = torch.device("cpu")
BF16 = torch.bfloat16
COMPILED, HALF, BOTH = Mode(compiled=True), Mode(BF16), Mode(BF16, compiled=True)
SMALL = ["--encoder", "small", "--steps", 2, "--batch-size", 8, "--device", "cpu"]


class Heard(Silent):
    """Keeps what is printed."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def stream(store: Path, model: Pretraining, store_on: str = "host") -> BatchStream:
    return BatchStream(crops(store, model, 3, store_on), 0, 5, CPU)


def settled(
    store: Path, choice: ModeChoice, model: Pretraining | None = None
) -> tuple[Settled, list[str]]:
    model = model or networks("cola")
    read, heard = stream(store, model), Heard()
    batch = read.first()
    assert batch is not None
    return settle(choice, StepCheck(model, model, batch, 5, CPU), read, heard), heard.warnings


def with_compiler(monkeypatch: pytest.MonkeyPatch, call: Callable[[Encoder, Tensor], Any]) -> None:
    """Let compiling an encoder return `call`."""
    monkeypatch.setattr(step, "compiled", lambda encoder, _: lambda rows: call(encoder, rows))


def raising(encoder: Encoder, rows: Tensor) -> Tensor:
    raise RuntimeError("ptxas was not found")


def exhausting(encoder: Encoder, rows: Tensor) -> Tensor:
    raise torch.OutOfMemoryError("no room for a graph")


def opposite(encoder: Encoder, rows: Tensor) -> Tensor:
    embeddings: Tensor = encoder(rows)
    embeddings.register_hook(lambda gradient: -gradient)  # type: ignore[no-untyped-call]
    return embeddings


def faithful(encoder: Encoder, rows: Tensor) -> Tensor:
    embeddings: Tensor = encoder(rows)
    return embeddings


@pytest.mark.parametrize("mode", [COMPILED, HALF, BOTH])
def test_a_mode_that_agrees_is_used_without_a_warning(
    store: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    with_compiler(monkeypatch, faithful)
    found, warnings = settled(store, ModeChoice(mode))
    assert found.mode == mode
    assert found.difference is not None
    assert found.difference.is_within(LIMITS[mode.precision])
    assert (found.difference.gradient == 0) == (mode == COMPILED)
    assert not warnings


@pytest.mark.parametrize(
    ("call", "reason"),
    [(raising, "ptxas was not found"), (exhausting, "no room"), (opposite, "differs")],
)
@pytest.mark.parametrize("precision", [torch.float32, BF16])
def test_a_compiler_that_fails_costs_one_warning(
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[Encoder, Tensor], Tensor],
    reason: str,
    precision: torch.dtype,
) -> None:
    with_compiler(monkeypatch, call)
    found, warnings = settled(store, ModeChoice(Mode(precision, compiled=True)))
    assert found.mode == Mode(precision)
    assert len(warnings) == 1
    assert mentions(warnings[0], reason, "not compiled")


class WrongInHalf(nn.Module):
    """Returns noise in bf16."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.inner(rows)
        if found.dtype is torch.float32:
            return found
        return torch.randn(found.shape, generator=torch.Generator().manual_seed(0)) + 0 * found


def wrong_in_half() -> Pretraining:
    model = networks("cola")
    stem = model.encoder.stem
    assert isinstance(stem, nn.Module)
    model.encoder.stem = WrongInHalf(stem)
    return model


def test_bf16_that_differs_too_much_becomes_fp32_and_stays_compiled(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_compiler(monkeypatch, faithful)
    monkeypatch.setitem(LIMITS, BF16, Difference())
    found, warnings = settled(store, ModeChoice(BOTH))
    assert found.mode == COMPILED
    assert len(warnings) == 1
    assert mentions(warnings[0], "bf16", "differs", "training continues in fp32, compiled")


def test_bf16_that_computes_something_else_becomes_fp32(store: Path) -> None:
    found, warnings = settled(store, ModeChoice(HALF), wrong_in_half())
    assert found.mode == PLAIN
    assert mentions(warnings[0], "differs from float32 (loss", "cosine")


def test_an_explicit_bf16_is_kept_with_a_warning(store: Path) -> None:
    found, warnings = settled(store, ModeChoice(HALF, keeps_precision=True), wrong_in_half())
    assert found.mode == HALF
    assert mentions(warnings[0], "differs", "continues in bf16")


@pytest.mark.parametrize("call", [raising, opposite])
def test_an_explicit_compilation_that_fails_is_an_error(
    store: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[[Encoder, Tensor], Tensor]
) -> None:
    with_compiler(monkeypatch, call)
    with pytest.raises(MscolError, match="--compile auto or off"):
        settled(store, ModeChoice(COMPILED, keeps_compiled=True))


def test_several_processes_that_disagree_with_one_are_an_error(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepCheck, "difference", lambda *_: Difference(0.5, 2.0, -1.0))
    with pytest.raises(MscolError, match="loss 50 %, gradient 200 %, cosine -1"):
        settled(store, ModeChoice(PLAIN))


def test_a_compiler_that_a_signal_stopped_is_an_interruption(
    mscol: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminated(encoder: Encoder, rows: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("g++ was terminated")

    with_compiler(monkeypatch, terminated)
    run = ["pretrain", store, "--objective", "cola", *SMALL, "--compile", "on"]
    assert mscol(*run, "-o", tmp_path / "run") == 130


def test_a_missing_compiler_costs_one_warning(
    mscol: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(modes, "auto_mode", lambda _: COMPILED)
    monkeypatch.setattr(modes, "missing_compiler", lambda: "there is no C compiler")
    run = ["pretrain", store, "--objective", "cola", *SMALL, "-o", tmp_path / "run"]
    assert mscol(*run) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("there is no C compiler: training is in fp32, not compiled.") == 1
    assert not compute_of(tmp_path / "run")["compiled"]


def test_an_encoder_that_the_compiler_cuts_costs_one_warning(
    mscol: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def cut(encoder: Encoder, rows: Tensor) -> Tensor:
        def parts(rows: Tensor) -> Tensor:
            torch._dynamo.graph_break()
            return encoder.forward(rows).clone()

        embeddings: Tensor = torch.compile(parts, backend="eager")(rows)
        return embeddings

    with_compiler(monkeypatch, cut)
    run = ["pretrain", store, "--objective", "cola", *SMALL, "--compile", "on"]
    assert mscol(*run, "-o", tmp_path / "run") == 0
    assert "compiled in parts, which is slower (graph breaks: 1)" in capsys.readouterr().err
    assert compute_of(tmp_path / "run")["graph_breaks"] == 1


def test_the_comparison_leaves_no_trace(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_compiler(monkeypatch, opposite)
    model = networks("cola")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    settled(store, ModeChoice(BOTH), model)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert all(weights.grad is None for weights in model.parameters())


def test_the_comparison_takes_half_the_rows_if_float32_does_not_fit(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = networks("cola")
    forward = model.encoder.forward

    def small_only(rows: Tensor) -> Tensor:
        if len(rows) > 8 and not torch.is_autocast_enabled("cpu"):
            raise torch.OutOfMemoryError("no room")
        return forward(rows)

    monkeypatch.setattr(model.encoder, "forward", small_only)
    found, warnings = settled(store, ModeChoice(HALF), model)
    assert (found.mode, found.rows) == (HALF, 4)
    assert not warnings


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.uint32, np.uint64])
def test_labels_have_types_that_processes_can_exchange(
    store: Path, monkeypatch: pytest.MonkeyPatch, kind: type[np.generic]
) -> None:
    model = networks("cola")
    plan = model.objective.plan

    def labelled(index: StoreIndex, rng: np.random.Generator, size: int) -> CropPlan:
        return replace(plan(index, rng, size), labels={"key": np.arange(size, dtype=kind)})

    monkeypatch.setattr(model.objective, "plan", labelled)
    batch = next(stream(store, model))
    assert batch.labels["key"].dtype == torch.int64
    assert batch.labels["key"].tolist() == list(range(len(batch.labels["key"])))


def test_the_store_leaves_the_device_when_memory_is_short(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "keeps_on_device", lambda place, *_: place != "host")
    model = networks("cola")
    expected = [batch.waveforms["anchor"] for batch in stream(store, model)]
    read = stream(store, model, "auto")
    assert read.source.store_on == "device"
    found = [next(read), read.first()]
    assert read.leave_device()
    assert read.source.store_on == "host"
    assert not read.leave_device()
    found = [found[0], *read]
    assert all(
        torch.equal(one.waveforms["anchor"], other)
        for one, other in zip(found, expected, strict=True)
        if isinstance(one, Batch)
    )
    assert not stream(store, model, "device").leave_device()


def test_an_optimizer_that_runs_out_of_memory_begins_again(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "keeps_on_device", lambda place, *_: place != "host")
    model = networks("cola")
    read, trained = stream(store, model, "auto"), adam(model, CPU)
    adapted = Adaptation(ModeChoice(PLAIN), model, read, CPU, Silent())
    rooms = iter([False, True])

    def update() -> bool:
        weights = next(model.parameters())
        weights.grad = torch.ones_like(weights)
        if not (has_room := next(rooms)):
            trained.state[weights]["step"] = torch.tensor(0.0)  # the moments did not fit
            raise torch.OutOfMemoryError("no room for moments")
        trained.step()
        return has_room

    assert adapted.compute(update, trained)
    assert set(trained.state[next(model.parameters())]) == {"step", "exp_avg", "exp_avg_sq"}


def compute_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())["compute"]
    return found


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(next(run.glob("checkpoints/step-*2")) / "encoder.safetensors")


@pytest.mark.slow
def test_the_decision_is_recorded(
    mscol: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = ["pretrain", store, "--objective", "cola", *SMALL, "-o"]
    assert mscol(*run, tmp_path / "plain") == 0
    assert mentions(json.dumps(compute_of(tmp_path / "plain")), "fp32", "CPU", '"difference": null')
    monkeypatch.setattr(modes, "auto_mode", lambda _: COMPILED)
    with_compiler(monkeypatch, raising)
    capsys.readouterr()
    assert mscol(*run, tmp_path / "failed") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("ptxas was not found") == 1
    recorded = compute_of(tmp_path / "failed")
    assert (recorded["precision"], recorded["compiled"]) == ("fp32", False)
    # The comparison changes no weight.
    one, other = weights(tmp_path / "plain"), weights(tmp_path / "failed")
    assert all(torch.equal(one[name], other[name]) for name in one)
    monkeypatch.setattr(modes, "auto_mode", lambda _: HALF)
    assert mscol("pretrain", "--resume", "-o", tmp_path / "failed", "--steps", 3) == 0
    recorded = compute_of(tmp_path / "failed")
    assert recorded["precision"] == "bf16"
    assert 0 < recorded["difference"]["gradient"] < LIMITS[BF16].gradient


EXHAUSTED = """
import torch
from torch import nn
from mscol_cli.api import Encoder, EncoderCard, hookimpl


class Full(Encoder):
    sample_rate, crop_samples, window_hop, start_grid, dim = 16000, 15920, 15680, 160, 8

    def __init__(self, front, network):
        super().__init__()
        self.front, self.room = front, network
        self.linear = nn.Linear(199, 8)

    def frontend(self, waveforms):
        if len(waveforms) > self.front:
            raise torch.OutOfMemoryError("the front end has no room")
        return waveforms.view(len(waveforms), 80, 199).abs().mean(1)

    def forward(self, features):
        if len(features) > self.room:
            raise torch.OutOfMemoryError("the network has no room")
        return self.linear(features)


class Once(Full):
    failed = False

    def forward(self, features):
        if not self.failed and len(features) > 4:
            self.failed = True
            raise torch.OutOfMemoryError("no room beside the store")
        return super().forward(features)


@hookimpl
def mscol_encoders():
    return [
        EncoderCard("roomy", "all fits", lambda options: Full(1000, 1000)),
        EncoderCard("front", "a small front end", lambda options: Full(5, 1000)),
        EncoderCard("full", "a small network", lambda options: Full(1000, 5)),
        EncoderCard("once", "no room at first", lambda options: Once(1000, 1000)),
    ]
"""


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin("exhausted", EXHAUSTED, tmp_path / "plugin", monkeypatch)


def full_run(store: Path, encoder: str, run: Path) -> list[object]:
    options = [*SMALL, "--objective", "cola", "--encoder", encoder]
    return ["pretrain", store, *options, "-o", run]


@pytest.mark.slow
@pytest.mark.usefixtures("full")
def test_a_front_end_without_room_takes_fewer_crops_at_a_time(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol(*full_run(store, "roomy", tmp_path / "all")) == 0
    capsys.readouterr()
    assert mscol(*full_run(store, "front", tmp_path / "parts")) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("the front end now takes 4 crops at a time") == 1
    assert compute_of(tmp_path / "parts")["frontend_rows"] == 4
    one, other = weights(tmp_path / "all"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("full")
def test_a_step_without_room_names_the_options_to_change(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = full_run(store, "full", tmp_path / "run")
    assert mscol(*run, "--store-on", "device") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert mentions(said, "out of memory", "8 pairs", "--store-on host", "--precision bf16")
    assert mentions(said, "--batch-size")
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(("encoder", "code"), [("once", 0), ("full", 1)])
def test_a_store_that_auto_put_on_the_device_gives_way_to_the_step(
    mscol: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    encoder: str,
    code: int,
) -> None:
    monkeypatch.setattr(batches, "keeps_on_device", lambda place, *_: place != "host")
    assert mscol(*full_run(store, encoder, tmp_path / "run")) == code
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("the store is now read from the host") == 1
    assert "resume with --store-on" not in said
    if code == 0:
        assert compute_of(tmp_path / "run")["store_on"] == "host"
        assert mscol(*full_run(store, "roomy", tmp_path / "all")) == 0
        one, other = weights(tmp_path / "all"), weights(tmp_path / "run")
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.processes
def test_the_step_of_two_processes_agrees_with_that_of_one(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    run = [
        "pretrain",
        store,
        "--objective",
        "msa",
        *SMALL,
        "--processes",
        2,
        "-o",
        tmp_path / "run",
    ]
    assert mscol(*run, "--precision", "bf16") == 0
    found = compute_of(tmp_path / "run")["difference"]
    assert found["pairs"] == 4
    assert found["loss"] < 0.02
    assert found["cosine"] > 0.9


@pytest.mark.slow
def test_a_compiler_that_does_not_run_costs_one_warning(store: Path) -> None:
    missing: dict[str, Any] = {"cpp.cxx": ("/does/not/exist",), "force_disable_caches": True}
    with inductor.patch(missing):
        found, warnings = settled(store, ModeChoice(COMPILED))
    assert found.mode == PLAIN
    assert len(warnings) == 1
    assert "training continues in fp32, not compiled" in warnings[0]
