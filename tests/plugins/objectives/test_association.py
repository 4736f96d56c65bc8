"""Objectives against the papers written slowly, and the distribution of what they draw."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mscol_cli.api import Objective, ObjectiveContext, StoreIndex, UsageError
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.engine.trial import try_objective
from mscol_cli.host import Entry, find_objective, find_part, load_registry
from mscol_cli.host.building import build_part
from mscol_objectives.association import association_logits
from mscol_objectives.cola import Cola
from mscol_objectives.msa import MusicSourceAssociation
from mscol_objectives.mws import draw_augmentation, mask, shift_down, warp_time
from mscol_objectives.options import MsaOptions, PairOptions, RandomMaskAugmentationOptions
from mscol_objectives.random_mask import RandomMask
from mscol_objectives.sampling import Candidates, draw_excerpts, draw_segments
from mscol_objectives.similarity import BilinearSimilarity

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=15_920, start_grid=160)
SEGMENT = 62_960


def make_index(tracks: int = 40, silent_vocals: int = 10) -> StoreIndex:
    """Five segments per track; the first `silent_vocals` tracks have no vocals."""
    level = np.full((tracks * 5, 3), 0.1, np.float32)
    level[: silent_vocals * 5, 2] = 0.001
    return StoreIndex(
        sources=("mixture", "drums", "vocals"),
        sample_rate=16_000,
        track_ids=tuple(f"t{track}" for track in range(tracks)),
        track_samples=np.full(tracks, 5 * 62_720 + 240),
        segment_track=np.repeat(np.arange(tracks), 5),
        segment_start=np.tile(np.arange(5) * 62_720, tracks),
        segment_samples=np.full(tracks * 5, SEGMENT),
        segment_level=level,
        published_level=level,
    )


def slow_association(
    anchor: NDArray[np.float64],
    positive: NDArray[np.float64],
    silent: NDArray[np.bool_],
    weight: NDArray[np.float64],
) -> float:
    """Active pairs first, one class for all silent positives: as the paper's code does it."""
    columns = list(positive[~silent])
    if silent.any():
        columns.append(positive[silent].mean(axis=0))
    rows = np.concatenate([anchor[~silent], anchor[silent]])
    targets = [min(row, len(columns) - 1) for row in range(len(rows))]
    total = 0.0
    for row, target in zip(rows, targets, strict=True):
        logits = np.array([row @ weight @ column for column in columns])
        total += np.log(np.exp(logits - logits[target]).sum())
    return total / len(rows)


@pytest.mark.parametrize("silent_rows", [0, 3, 8])
def test_the_loss_is_that_of_the_paper(silent_rows: int) -> None:
    rng = np.random.default_rng(0)
    anchor, positive = np.tanh(rng.standard_normal((2, 8, 512)))
    silent = np.arange(8) % 8 < silent_rows
    similarity = BilinearSimilarity(std=0.05)
    logits, targets = association_logits(
        torch.tensor(anchor, dtype=torch.float32),
        torch.tensor(positive, dtype=torch.float32),
        torch.tensor(silent),
        similarity,
    )
    slow = slow_association(anchor, positive, silent, similarity.weight.detach().double().numpy())
    assert F.cross_entropy(logits, targets).item() == pytest.approx(slow, abs=1e-4)


def test_accuracy_is_also_that_of_each_source_drawn() -> None:
    objective = MusicSourceAssociation(MsaOptions(), CONTEXT)
    plan = objective.plan(make_index(), np.random.default_rng(2), 4 * 128)
    labels = {name: torch.from_numpy(label) for name, label in plan.labels.items()}
    drums = plan.views["positive"].source == 1
    assert drums.any()
    assert not drums.all()
    # Anchors that are far from all but their own positive, where it is of drums.
    rows = torch.eye(4 * 128)
    positive = torch.where(torch.from_numpy(drums)[:, None], rows, -rows)
    objective.similarity.weight.data = 20 * torch.eye(512)
    labels["silent"] = torch.zeros(len(drums), dtype=torch.bool)
    metrics = objective.loss({"anchor": rows, "positive": positive}, labels)[1]
    assert float(metrics["accuracy/drums"]) == 1.0
    assert float(metrics["accuracy/vocals"]) == 0.0
    assert float(metrics["accuracy"]) == pytest.approx(drums.mean())
    labels = {**labels, "source/bass": torch.zeros(len(drums), dtype=torch.bool)}
    metrics = objective.loss({"anchor": rows, "positive": positive}, labels)[1]
    assert torch.isnan(metrics["accuracy/bass"])


def test_a_batch_of_silence_has_no_loss_and_finite_gradients() -> None:
    objective = Cola(PairOptions(), CONTEXT)
    rows = {view: torch.randn(4, 24, requires_grad=True) for view in ("anchor", "positive")}
    loss, _ = objective.loss(objective.project(rows), {"silent": torch.ones(4, dtype=torch.bool)})
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in objective.parameters() if p.grad is not None)


def test_both_crops_of_a_pair_lie_in_one_segment_at_independent_offsets() -> None:
    index = make_index()
    plan = Cola(PairOptions(), CONTEXT).plan(index, np.random.default_rng(0), 200)
    offsets = []
    for crops in plan.views.values():
        assert (crops.start % 160 == 0).all()
        segment = crops.start // 62_720
        offsets.append(crops.start - segment * 62_720)
        assert (offsets[-1] + CONTEXT.crop_samples <= SEGMENT).all()
    anchor, positive = plan.views["anchor"], plan.views["positive"]
    assert (anchor.track == positive.track).all()
    assert abs(np.corrcoef(offsets[0], offsets[1])[0, 1]) < 0.25


@pytest.mark.slow
def test_offsets_reach_both_ends_of_a_segment() -> None:
    index = make_index(tracks=1)
    starts = {
        start % 62_720
        for seed in range(2_000)
        for start in Cola(PairOptions(), CONTEXT)
        .plan(index, np.random.default_rng(seed), 5)
        .views["anchor"]
        .start
    }
    assert min(starts) == 0
    assert max(starts) == 294 * 160
    assert len(starts) == 295


def test_segments_of_a_batch_are_distinct_while_they_last() -> None:
    rng = np.random.default_rng(0)
    assert len(set(draw_segments(np.arange(200), 128, rng))) == 128
    counts = np.bincount(draw_segments(np.arange(10), 25, rng))
    assert counts.min() == 2
    assert counts.max() == 3


def test_excerpts_of_one_track_are_drawn_together_and_differ() -> None:
    candidates = Candidates.of(make_index(), np.arange(200))
    drawn = draw_excerpts(candidates, 32, 4, np.random.default_rng(0))
    tracks, counts = np.unique(drawn // 5, return_counts=True)
    assert len(set(drawn)) == 32
    assert counts.tolist() == [4] * 8
    assert len(set(tracks)) == 8
    rng = np.random.default_rng(0)
    many = [draw_excerpts(candidates, 16, 2, rng) for _ in range(150)]
    assert len(np.unique(many)) == 200


def test_excerpts_that_run_out_are_filled_and_repeat_last() -> None:
    index = make_index(tracks=2)
    candidates = np.array([0, 1, 2, 5])
    drawn = draw_excerpts(Candidates.of(index, candidates), 8, 2, np.random.default_rng(0))
    assert sorted(drawn[:4]) == candidates.tolist()
    assert np.bincount(drawn)[candidates].tolist() == [2, 2, 2, 2]


def test_tracks_with_more_segments_are_drawn_more_often() -> None:
    index = make_index(tracks=3)
    candidates = Candidates.of(index, np.array([12, 0, 1, 2, 3, 5, 10, 11]))
    rng = np.random.default_rng(0)
    first = [draw_excerpts(candidates, 2, 2, rng)[0] // 5 for _ in range(2000)]
    assert np.bincount(first) / 2000 == pytest.approx([4 / 8, 1 / 8, 3 / 8], abs=0.03)


@pytest.mark.parametrize("name", ["cola", "msa", "multi-positive", "submixtures"])
def test_every_objective_takes_several_excerpts_of_a_track(name: str) -> None:
    part = find_objective(load_registry(), name, ["excerpts=4"])
    objective: Objective = build_part(part[0], Objective, CONTEXT)
    plan = objective.plan(make_index(), np.random.default_rng(1), 32)
    counts = np.bincount(plan.views["anchor"].track, minlength=40)
    assert set(counts) == {0, 4}


def test_msa_draws_one_source_per_group_and_silence_half_of_the_time() -> None:
    index = make_index()
    objective = MusicSourceAssociation(MsaOptions(), CONTEXT)
    plans = [objective.plan(index, np.random.default_rng([0, step]), 64) for step in range(600)]
    sources = [set(plan.views["positive"].source) for plan in plans]
    assert all(len(drawn) == 1 for drawn in sources)
    vocals = [plan for plan, drawn in zip(plans, sources, strict=True) if drawn == {2}]
    assert 0.4 < len(vocals) / len(plans) < 0.6
    with_silence = np.mean([plan.labels["silent"].any() for plan in vocals])
    assert 0.42 < with_silence < 0.58
    share = np.mean(
        [plan.labels["silent"].mean() for plan in vocals if plan.labels["silent"].any()]
    )
    assert 0.2 < share < 0.3


def test_msa_without_silent_share_draws_only_active_segments() -> None:
    objective = MusicSourceAssociation(MsaOptions(silent_share=0.0, stems=("vocals",)), CONTEXT)
    plan = objective.plan(make_index(), np.random.default_rng(0), 256)
    assert not plan.labels["silent"].any()
    assert set(plan.views["positive"].source) == {2}


def test_msa_writes_the_constant_into_silent_positives_only() -> None:
    objective = MusicSourceAssociation(MsaOptions(), CONTEXT)
    views = {"anchor": torch.ones(2, 98, 64), "positive": torch.ones(2, 98, 64)}
    changed = objective.augment_features(views, {"silent": torch.tensor([True, False])})
    assert (changed["positive"][0] == 0).all()
    assert (changed["positive"][1] == 1).all()
    assert (changed["anchor"] == 1).all()


@pytest.mark.parametrize(
    ("stems", "level", "message"),
    [(("bass",), 0.1, "choose --stems from drums,vocals"), ((), 0.0, "'drums' is silent")],
)
def test_msa_refuses_stems_it_cannot_draw(
    stems: tuple[str, ...], level: float, message: str
) -> None:
    index = make_index()
    index.segment_level[:] = level
    with pytest.raises(UsageError, match=message):
        MusicSourceAssociation(MsaOptions(stems=stems), CONTEXT).check(index, 16)


def test_msa_says_when_a_batch_repeats_segments() -> None:
    notes = MusicSourceAssociation(MsaOptions(), CONTEXT).check(make_index(tracks=11), 16)
    assert notes == [
        "the store has 'vocals' sounding in only 5 segments for a batch of 16: some repeat within"
        " it and count as wrong answers; lower --batch-size or add music."
    ]


def test_mws_draws_the_published_ranges() -> None:
    drawn = draw_augmentation(np.random.default_rng(0), 20_000)
    for name, widest, most in (("time_masks", 9, 9), ("band_masks", 11, 4)):
        width = drawn[name][..., 1]
        count = (width > 0).sum(1)
        assert (count > 0).mean() == pytest.approx(0.5, abs=0.02)
        assert (count.max(), width.max(), width[width > 0].min()) == (most, widest, 1)
    assert drawn["time_masks"][..., 0].max() == 86
    assert (drawn["shift"] > 0).mean() == pytest.approx(0.4, abs=0.02)
    assert set(drawn["shift"]) == set(range(10))
    assert set(drawn["pivot"]) == set(range(38, 58))


def test_mws_masks_shifts_and_warps_as_written_slowly() -> None:
    rng = np.random.default_rng(3)
    log_mel = rng.standard_normal((6, 98, 64))
    drawn = draw_augmentation(rng, 6)
    drawn["shift"][:3], drawn["pivot"][:3] = [1, 5, 9], [38, 50, 57]
    tensors = {name: torch.from_numpy(value) for name, value in drawn.items()}
    fast = mask(torch.from_numpy(log_mel), tensors["time_masks"], tensors["band_masks"], 0.0)
    fast = warp_time(shift_down(fast, tensors["shift"], 0.0), tensors["pivot"])
    for row in range(6):
        slow = log_mel[row].copy()
        for start, width in drawn["time_masks"][row]:
            slow[start : start + width] = 0
        for start, width in drawn["band_masks"][row]:
            slow[:, start : start + width] = 0
        bands = drawn["shift"][row]
        slow = np.concatenate([slow[:, bands:], np.zeros((98, bands))], axis=1)
        pivot = drawn["pivot"][row]
        position = np.concatenate([np.linspace(0, pivot, 49), np.linspace(pivot + 1, 97, 49)])
        warped = [np.interp(position, np.arange(98), slow[:, band]) for band in range(64)]
        np.testing.assert_allclose(fast[row].numpy(), np.transpose(warped), atol=1e-9)


def test_random_mask_keeps_its_share_on_average_and_changes_only_the_positive() -> None:
    objective = RandomMask(RandomMaskAugmentationOptions(sharpness=0.0), CONTEXT)
    plan = Cola(PairOptions(), CONTEXT).plan(make_index(), np.random.default_rng(0), 4)
    labels = {
        "positive_grid": torch.from_numpy(
            objective.draw(plan, np.random.default_rng(0))["positive_grid"]
        )
    }
    views = {"anchor": torch.zeros(4, 98, 64), "positive": torch.zeros(4, 98, 64)}
    masked = objective.augment_features(views, labels)
    torch.testing.assert_close(masked["positive"].exp(), torch.full((4, 98, 64), 0.25))
    assert (masked["anchor"] == 0).all()


def test_a_part_cannot_hide_behind_a_method() -> None:
    objective = Cola(PairOptions(), CONTEXT)
    with pytest.raises(TypeError, match="'project'"):
        objective.project = torch.nn.Linear(24, 24)  # type: ignore[method-assign]
    objective.projector = torch.nn.Linear(24, 24)


def test_a_trial_leaves_parameters_and_buffers_as_they_were() -> None:
    class Normed(Cola):
        def project(self, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return super().project({view: norm(rows) for view, rows in embeddings.items()})

    encoder = build_encoder(find_part(load_registry(), "encoder", "small"), seed=0)
    context = ObjectiveContext(encoder.dim, encoder.crop_samples, encoder.start_grid)
    objective = Normed(PairOptions(), context)
    norm = torch.nn.BatchNorm1d(encoder.dim)
    objective.add_module("norm", norm)
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    try_objective(objective, encoder, make_index(), 16)
    for name, value in objective.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    "entry", load_registry().of_kind("objective"), ids=lambda entry: entry.card.name
)
def test_every_objective_keeps_the_contract(entry: Entry) -> None:
    registry, index = load_registry(), make_index()
    encoder = build_encoder(find_part(registry, "encoder", "small"), seed=0)
    part = find_objective(registry, entry.card.name)
    try_objective(build_objective(part, encoder, seed=0), encoder, index, 16)
    objective: Objective = build_part(part[0], Objective, CONTEXT)
    again = [objective.plan(index, np.random.default_rng([7, 3]), 16) for _ in range(2)]
    for view, crops in again[0].views.items():
        np.testing.assert_array_equal(crops.start, again[1].views[view].start)
    labels = {name: torch.from_numpy(label) for name, label in again[0].labels.items()}
    features = {view: torch.randn(16, 98, 64) for view in again[0].views}
    changed = objective.augment_features(features, labels)
    assert {view: rows.shape for view, rows in changed.items()} == {
        view: rows.shape for view, rows in features.items()
    }
    embeddings = {view: torch.randn(16, 24, requires_grad=True) for view in features}
    projections = objective.project(embeddings)
    loss, metrics = objective.loss(projections, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(value.shape == () for value in metrics.values())
    for rows in embeddings.values():
        assert rows.grad is not None
        assert torch.isfinite(rows.grad).all()
    half = objective.project({view: rows[8:] for view, rows in embeddings.items()})
    for name, rows in half.items():
        torch.testing.assert_close(rows, projections[name][8:])
