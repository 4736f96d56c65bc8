"""CLMR: NT-Xent against the paper written slowly, where crops are cut, and runs with SampleCNN."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.api import ObjectiveContext, UsageError
from mscol_objectives.clmr import Clmr
from mscol_objectives.ntxent import nt_xent_logits
from mscol_objectives.options import ClmrOptions
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions
from tests.helpers.waveforms import make_index

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=1_000, start_grid=1)


def clmr(context: ObjectiveContext = CONTEXT) -> Clmr:
    torch.manual_seed(0)
    return Clmr(ClmrOptions(), context)


def embeddings(rows: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        view: torch.randn(rows, 24, generator=generator, requires_grad=True)
        for view in ("anchor", "positive")
    }


def slow_nt_xent(
    anchor: NDArray[np.float64], positive: NDArray[np.float64], temperature: float
) -> float:
    rows = [*anchor, *positive]
    pairs = len(anchor)

    def similarity(i: int, j: int) -> float:
        lengths = np.sqrt((rows[i] @ rows[i]) * (rows[j] @ rows[j]))
        return float(rows[i] @ rows[j] / lengths / temperature)

    total = 0.0
    for i in range(2 * pairs):
        j = i + pairs if i < pairs else i - pairs
        others = sum(np.exp(similarity(i, k)) for k in range(2 * pairs) if k != i)
        total -= np.log(np.exp(similarity(i, j)) / others)
    return total / (2 * pairs)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("pairs", [2, 7])
def test_the_loss_is_nt_xent_written_slowly(pairs: int, temperature: float) -> None:
    anchor, positive = np.random.default_rng(0).standard_normal((2, pairs, 16))
    logits, targets = nt_xent_logits(torch.tensor(anchor), torch.tensor(positive), temperature)
    fast = torch.nn.functional.cross_entropy(logits, targets)
    assert fast.item() == pytest.approx(slow_nt_xent(anchor, positive, temperature), abs=1e-9)
    assert int((logits > -torch.inf).sum()) == 2 * pairs * (2 * pairs - 1)


def test_both_directions_count_alike() -> None:
    objective, rows = clmr(), embeddings(6)
    swapped = {"anchor": rows["positive"], "positive": rows["anchor"]}
    loss, metrics = objective.loss(objective.project(rows), {})
    other, other_metrics = objective.loss(objective.project(swapped), {})
    torch.testing.assert_close(loss, other)
    assert metrics["accuracy"] == other_metrics["accuracy"]


def test_the_projector_is_that_of_clmr() -> None:
    objective = clmr(ObjectiveContext(512, 59_049, 1))
    shapes = {name: tuple(value.shape) for name, value in objective.named_parameters()}
    assert shapes == {"projector.0.weight": (512, 512), "projector.2.weight": (64, 512)}
    rows = torch.randn(3, 512)
    hidden, out = objective.parameters()
    torch.testing.assert_close(objective.projector(rows), (rows @ hidden.T).relu() @ out.T)


def test_gradients_are_finite_even_where_crops_are_alike_or_nothing() -> None:
    objective, rows = clmr(), embeddings(4)
    with torch.no_grad():
        rows["positive"][:2] = rows["anchor"][:2]
        rows["anchor"][3] = 0.0
    loss, _ = objective.loss(objective.project(rows), {})
    loss.backward()  # type: ignore[no-untyped-call]
    for values in (*rows.values(), *objective.parameters()):
        assert values.grad is not None
        assert values.grad.isfinite().all()
        assert values.grad.any()


def test_a_pair_that_agrees_has_all_right_and_a_low_loss() -> None:
    objective = clmr()
    anchor = 10 * torch.eye(24)[:8]
    alike = objective.project({"anchor": anchor, "positive": anchor.clone()})
    loss, metrics = objective.loss(alike, {})
    assert metrics["accuracy"] == 1
    chance, _ = objective.loss(objective.project(embeddings(8)), {})
    assert loss < chance


@pytest.mark.slow
def test_tracks_of_a_batch_are_distinct_and_every_track_is_drawn_alike() -> None:
    index, counts = make_index(*[5_000] * 20), np.zeros(20)
    for seed in range(600):
        plan = clmr().plan(index, np.random.default_rng(seed), 12)
        anchor, positive = plan.views["anchor"], plan.views["positive"]
        assert len(set(anchor.track)) == 12
        np.testing.assert_array_equal(anchor.track, positive.track)
        assert not anchor.source.any()
        counts += np.bincount(anchor.track, minlength=20)
    assert counts.min() > 0.85 * 360
    assert counts.max() < 1.15 * 360


def test_more_rows_than_tracks_repeat_each_equally_often() -> None:
    plan = clmr().plan(make_index(*[5_000] * 4), np.random.default_rng(0), 10)
    assert sorted(np.bincount(plan.views["anchor"].track)) == [2, 2, 3, 3]


def test_both_crops_lie_anywhere_in_the_track_and_know_nothing_of_each_other() -> None:
    index, objective = make_index(1_009, 1_000), clmr()
    starts = []
    for seed in range(4_000):
        plan = objective.plan(index, np.random.default_rng(seed), 2)
        long = plan.views["anchor"].track == 0
        assert not plan.views["anchor"].start[~long].any()
        starts.append([crops.start[long][0] for crops in plan.views.values()])
    joint = np.histogramdd(np.array(starts), bins=[np.arange(11) - 0.5] * 2)[0]
    assert joint.sum() == 4_000
    # 100 cells of 40 each; the statistic is chi-squared with 99 degrees of freedom.
    assert ((joint - 40) ** 2 / 40).sum() < 150


def test_crops_start_on_the_grid_of_the_encoder() -> None:
    objective = clmr(ObjectiveContext(24, 1_000, 160))
    plan = objective.plan(make_index(*[2_000] * 30), np.random.default_rng(0), 30)
    assert set(plan.views["anchor"].start) == {0, 160, 320, 480, 640, 800, 960}


def test_a_track_shorter_than_a_crop_is_left_out_and_said() -> None:
    index, objective = make_index(999, 5_000, 10, 5_000), clmr()
    for seed in range(20):
        plan = objective.plan(index, np.random.default_rng(seed), 2)
        assert set(plan.views["anchor"].track) == {1, 3}
    (note,) = objective.check(index, 2)
    assert mentions(note, "2 tracks", "0.06 s")


def test_a_store_with_fewer_tracks_than_a_batch_is_named() -> None:
    assert clmr().check(make_index(*[5_000] * 3), 4) == [
        "the store has 3 tracks for a batch of 4: some repeat within it and count as wrong"
        " answers; lower --batch-size or add music."
    ]
    assert clmr().check(make_index(*[5_000] * 4), 4) == []


def test_a_store_without_a_long_enough_track_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.06 s"):
        clmr().check(make_index(999, 10), 4)


@pytest.mark.slow
def test_clmr_pretrains_sample_cnn_and_the_run_embeds_audio(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--steps", 2, "--batch-size", 4, "--device", "cpu", "-o", "run"]
    options = ["--objective", "clmr", "--encoder", "sample_cnn", "--opt", "pitch_cents=300"]
    assert mscol("pretrain", store, *options, *quick, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    logged = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert printed["loss"] == pytest.approx(logged["loss"])
    (part,) = json.loads((tmp_path / "run" / "run.json").read_text())["objective"]["parts"]
    assert (part["options"]["temperature"], part["options"]["pitch_cents"]) == (0.5, 300)
    clip = write_audio(tmp_path / "clip.wav", tones(6.0))
    short = write_audio(tmp_path / "short.wav", tones(2.0))
    assert mscol("embed", clip, short, "--model", "run", "--windows", "-o", "out.npz") == 3
    assert mentions(capsys.readouterr().err, "2.000 s", "2.678 s")
    with np.load(tmp_path / "out.npz") as found:
        assert found["embeddings"].shape == (2, 512)
        np.testing.assert_allclose(found["start_s"], [0, 42_847 / 16_000])


@pytest.mark.slow
def test_msa_trains_under_the_augmentations_of_clmr(
    mscol: Command, store: Path, tmp_path: Path
) -> None:
    quick = ["--encoder", "small", "--steps", 2, "--batch-size", 8, "--device", "cpu", "-o", "run"]
    assert mscol("pretrain", store, "--objective", "msa+clmr", *quick) == 0
    parts = json.loads((tmp_path / "run" / "run.json").read_text())["objective"]["parts"]
    assert [part["name"] for part in parts] == ["msa", "clmr"]
    assert "temperature" not in parts[1]["options"]


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["mws", "random-mask"])
def test_an_objective_that_needs_a_spectrogram_refuses_raw_audio(
    mscol: Command, store: Path, objective: str, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--steps", 1, "--batch-size", 2, "--device", "cpu", "-o", "run"]
    start = ["pretrain", store, "--objective", objective, "--encoder", "sample_cnn"]
    assert mscol(*start, *quick) == 2
    assert "(batch, frames, bands)" in capsys.readouterr().err
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("pitch=1.5", "pitch of objective 'clmr'"),
        ("pitch_cents=-1", "at least 0"),
        ("temperature=0", "at least 0.01"),
    ],
)
def test_options_out_of_range_are_refused(
    mscol: Command, store: Path, option: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("pretrain", store, "--objective", "clmr", "--opt", option) == 2
    assert message in capsys.readouterr().err
