"""What is watched while a run trains, and the runs that are stopped for it."""

import json
import math
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS, ListSessionGroupsRequest
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler

from mscol_cli.commands.progress import TerminalProgress, format_fields
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.progress import NO_BAR, Silent
from mscol_cli.contracts.watched import RESERVED
from mscol_cli.engine.devices import memory_in_use
from mscol_cli.errors import MscolError
from mscol_cli.pretrain.metrics_log import Means, open_log
from mscol_cli.pretrain.monitor import (
    LOWEST_RANK,
    PATIENCE,
    CollapseGuard,
    OnlineProbe,
    progress_fields,
)
from mscol_cli.pretrain.training import Training
from mscol_cli.recipes.options import TrainingSettings
from tests.conftest import Command
from tests.helpers.messages import mentions
from tests.helpers.plugins import COLLAPSING, install_plugin
from tests.helpers.training import crops, metrics, networks

PLUGINS = (Path(__file__).parents[2] / "docs/plugins.md").read_text(encoding="utf-8")
QUICK = ["--encoder", "small", "--batch-size", 8, "--device", "cpu"]
WATCHED = {
    "gradient_norm",
    "logit_std",
    "alignment",
    "uniformity",
    "effective_rank",
    "memory_bytes",
    "elapsed_s",
}


def train(store: Path, run: Path, log_every: int, probe: OnlineProbe | None = None) -> Training:
    """Four updates without the command line, which has no option for how often is logged."""
    settings = TrainingSettings(steps=4, batch_size=8, log_every=log_every)
    built, cpu = networks("mws"), torch.device("cpu")
    source = crops(store, built)
    run.mkdir()
    info = {"encoder": {"owner": "mscol"}, "objective": {"parts": []}}
    training = Training(run, info, settings, built.encoder, built.objective, source, cpu, probe)
    training.fit(Silent())
    return training


def test_every_logged_step_says_how_training_goes(trained: Path) -> None:
    last = metrics(trained)[-1]
    assert last.keys() >= WATCHED
    assert 1 <= last["effective_rank"] <= 16
    assert 0 <= last["alignment"] <= 4
    assert last["uniformity"] <= 0
    resident = memory_in_use(torch.device("cpu"))
    assert last["memory_bytes"] == pytest.approx(resident, rel=0.9)
    board = EventAccumulator(str(trained / "tensorboard")).Reload()
    assert set(board.Tags()["scalars"]) >= WATCHED


@pytest.mark.slow
def test_watching_changes_no_weight(store: Path, tmp_path: Path) -> None:
    often, once = (train(store, tmp_path / str(every), every) for every in (1, 4))
    assert len(metrics(tmp_path / "1")) == 4
    for one, other in zip(often.model.parameters(), once.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
@pytest.mark.processes
def test_two_processes_see_what_one_sees(mscol: Command, store: Path, tmp_path: Path) -> None:
    start = ["pretrain", store, "--objective", "msa", *QUICK, "--steps", 1]
    assert mscol(*start, "-o", tmp_path / "one") == 0
    assert mscol(*start, "--processes", 2, "-o", tmp_path / "two") == 0
    (one,), (two,) = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert one.keys() == two.keys()
    # Eight pairs are of one source, and the others are not in the line.
    assert sum(name.startswith("accuracy/") for name in one) == 1
    for name in WATCHED - {"memory_bytes", "elapsed_s"} | {name for name in one if "/" in name}:
        assert two[name] == pytest.approx(one[name], rel=1e-4), name


@pytest.mark.slow
def test_time_is_counted_over_resumed_stretches(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert mscol("pretrain", store, "--objective", "cola", *QUICK, "--steps", 2, "-o", run) == 0
    first = metrics(run)[-1]
    (run / "metrics.jsonl").write_text(json.dumps({**first, "elapsed_s": 1000.0}) + "\n")
    assert mscol("pretrain", "--resume", "--steps", 4, "-o", run) == 0
    assert 1000 < metrics(run)[-1]["elapsed_s"] < 1100


PAUSE = 2.0  # seconds; longer than two updates take on a busy machine


class SlowProbe:
    """Takes its time, and says how often it was asked."""

    task, every = "slow", 2

    def __init__(self) -> None:
        self.asked = 0

    def score(self, encoder: Encoder, device: torch.device) -> float:
        self.asked += 1
        time.sleep(PAUSE)
        return 0.5


@pytest.mark.slow
def test_the_time_of_a_probe_is_not_counted(store: Path, tmp_path: Path) -> None:
    probe, began = SlowProbe(), time.perf_counter()
    train(store, tmp_path / "run", 4, probe)
    whole = time.perf_counter() - began
    last = metrics(tmp_path / "run")[-1]
    assert probe.asked == 3
    assert last["elapsed_s"] < whole - 3 * PAUSE
    # Two updates of eight pairs since the line before, which the pause would make slower than this.
    assert last["pairs_per_second"] > 2 * 8 / PAUSE


def test_a_line_has_no_value_that_is_no_number(tmp_path: Path) -> None:
    with open_log(tmp_path, 0, {}, list[str]().append) as log:
        assert log is not None
        log.write(1, {"loss": 1.0, "rank": math.nan, "norm": math.inf})
    assert metrics(tmp_path) == [{"step": 1, "loss": 1.0}]


def test_a_value_that_an_update_lacks_is_left_out_of_its_mean() -> None:
    means = Means()
    means.add({"loss": torch.tensor(2.0), "a": torch.tensor(1.0), "b": torch.tensor(math.nan)})
    means.add({"loss": torch.tensor(4.0), "a": torch.tensor(math.nan), "b": torch.tensor(math.nan)})
    means = Means(json.loads(json.dumps(means.state())))
    assert means.take() == {"loss": 3.0, "a": 1.0}
    means.add({"loss": torch.tensor(math.nan), "c": torch.tensor(0.5)})
    assert math.isnan(means.take()["loss"])
    assert means.take()["c"] == 0.5


def test_tensorboard_shows_settings_of_runs_beside_their_last_values(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    for seed in (1, 2):
        start = ["pretrain", store, "--objective", "cola", *QUICK, "--steps", 1, "--seed", seed]
        assert mscol(*start, "-o", tmp_path / str(seed)) == 0
    runs = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    provider = MultiplexerDataProvider(runs, str(tmp_path))
    context = Context(TBContext(data_provider=provider, logdir=str(tmp_path)))
    request = ListSessionGroupsRequest(start_index=0, slice_size=9, include_metrics=True)
    request.allowed_statuses.append(STATUS_SUCCESS)
    found = Handler(RequestContext(), context, "", request).run()  # what the HPARAMS tab asks
    seeds = {group.hparams["training.seed"].number_value for group in found.session_groups}
    assert seeds == {1, 2}
    last = metrics(tmp_path / "1")[-1]["loss"]
    losses = [
        value.value
        for group in found.session_groups
        for value in group.metric_values
        if value.name.tag == "loss"
    ]
    assert any(loss == pytest.approx(last) for loss in losses)


def test_a_narrow_terminal_shows_what_comes_first() -> None:
    fields = progress_fields({"loss": 1.5, "accuracy": 0.25, "effective_rank": 9.0, "other": 1.0})
    assert format_fields(fields, 80) == "loss 1.500 accuracy 25% rank 9.0"
    assert format_fields(fields, 25) == "loss 1.500 accuracy 25%"
    assert format_fields(fields, 5) == ""


def test_clmr_says_its_temperature(mscol: Command, store: Path, tmp_path: Path) -> None:
    options = [*QUICK, "--steps", 1, "-o", tmp_path / "run", "--opt", "temperature=0.25"]
    assert mscol("pretrain", store, "--objective", "clmr", *options) == 0
    assert metrics(tmp_path / "run")[-1]["temperature"] == 0.25


def guard(*ranks: float) -> CollapseGuard:
    return CollapseGuard(enumerate(ranks))


def test_a_rank_that_stays_low_is_a_collapse() -> None:
    low = [LOWEST_RANK - 0.1] * PATIENCE
    with pytest.raises(MscolError, match=r"1\.5 since step 1, .*9\.0"):
        guard(9.0, *low).raise_if_collapsed(Path("run"))
    guard(9.0, *low[1:]).raise_if_collapsed(Path("run"))
    guard(9.0, *low[1:], 2.0, *low[1:]).raise_if_collapsed(Path("run"))


def test_a_rank_that_was_always_low_is_none() -> None:
    assert not guard(2.9, *[1.2] * 20).is_suspect


@pytest.mark.slow
def test_a_collapsed_run_is_stopped_and_keeps_what_was_good(
    mscol: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install_plugin("mscol_alike", COLLAPSING, tmp_path / "site", monkeypatch)
    run = tmp_path / "run"
    start = ["pretrain", store, "--objective", "alike", *QUICK, "--lr", 0.03, "--steps", 600]
    assert mscol(*start, "--save-every", 10, "-o", run) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    steps = [line["step"] for line in metrics(run) if line["effective_rank"] < LOWEST_RANK]
    begun = steps[-PATIENCE]
    assert mentions(message, "1.5", f"step {begun}")
    newest = sorted((run / "checkpoints").iterdir())[-1]
    assert newest.name == f"step-{begun - 10:08d}"
    assert str(newest) in message
    state = json.loads((run / "state.json").read_text())
    assert state["state"] == "failed"
    assert state["reason"] in message


@pytest.mark.parametrize(
    ("reported", "message"),
    [
        ("{'loss': loss}", "'loss'"),
        ("{'probe/fma': loss}", "'probe/fma'"),
        ("{'each': loss.repeat(3)}", "'each'"),
        ("{'third': 0.3}", "'third'"),
    ],
)
def test_an_objective_may_not_report_what_the_trainer_does(
    mscol: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reported: str,
    message: str,
) -> None:
    code = COLLAPSING.replace("return {}", f"return {reported}")
    install_plugin("mscol_alike", code, tmp_path / "site", monkeypatch)
    start = ["pretrain", store, "--objective", "alike", *QUICK, "--steps", 1]
    assert mscol(*start, "-o", tmp_path / "run") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "objective 'alike' (mscol_alike 1)" in told
    assert message in told
    assert not (tmp_path / "run").exists()


def test_every_name_that_the_trainer_logs_is_reserved(trained: Path) -> None:
    logged = {name for line in metrics(trained) for name in line if "accuracy" not in name}
    logged -= {"logit_std"}
    assert logged == set(RESERVED)
    for text in (Objective.loss.__doc__, PLUGINS):
        assert all(f"`{name}`" in str(text) for name in RESERVED)


@pytest.mark.slow
def test_a_run_says_how_it_ended(mscol: Command, store: Path, trained: Path) -> None:
    assert json.loads((trained / "state.json").read_text())["state"] == "finished"
    start = ["pretrain", store, "--objective", "cola", *QUICK, "--steps", 30, "-o", "run"]
    assert mscol(*start, "--lr", 1e30) == 1
    state = json.loads(Path("run", "state.json").read_text())
    assert state["state"] == "failed"
    assert mentions(state["reason"], "nan at step 10", "no checkpoint")


def test_a_log_says_now_and_then_how_far_work_has_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 59.0, 61.0, 70.0])
    monkeypatch.setattr("mscol_cli.commands.progress.time.monotonic", lambda: next(clock))
    with TerminalProgress() as progress:
        progress.begin("pretrain", 2000, "steps")
        progress.skip(1000)
        progress.advance(100)
        progress.advance(100)
        progress.advance(200, loss="1.500")
        progress.advance(10)
    captured = capsys.readouterr()
    assert captured.err == "pretrain: 1,400/2,000 steps, 5.0/s, 0:02:00 left, loss 1.500\n"
    assert captured.out == ""


def test_a_process_that_another_speaks_for_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(NO_BAR, "1")
    monkeypatch.setattr("mscol_cli.commands.progress.LINE_EVERY", 0.0)
    with TerminalProgress() as progress:
        progress.begin("separating", None, "tracks")
        progress.advance()
    assert capsys.readouterr().err == ""
