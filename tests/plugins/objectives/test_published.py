"""What the published code does to crops and how it draws them, written as slowly as it is there."""

import copy
from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mscol_cli.api import CropPlan, Crops, ObjectiveContext, StoreIndex
from mscol_cli.engine.optimizer import BETAS, adam, keras_epsilon
from mscol_cli.store.segments import segment_levels
from mscol_objectives.association import ProjectionHead
from mscol_objectives.cola import Cola
from mscol_objectives.msa import MusicSourceAssociation
from mscol_objectives.mws import MaskWarpShift
from mscol_objectives.options import (
    MsaOptions,
    MwsAugmentationOptions,
    PairOptions,
    RandomMaskAugmentationOptions,
)
from mscol_objectives.random_mask import RandomMask

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=15_920, start_grid=160)
STEMS = ("vocals", "drums", "bass", "other")
SUBSETS = [subset for size in range(1, 5) for subset in combinations(STEMS, size)]


def four_stems(tracks: int = 60) -> StoreIndex:
    """Five segments per track; each stem is silent in a third of the tracks, each in another."""
    level = np.full((tracks * 5, 5), 0.1, np.float32)
    for stem in range(4):
        level[np.arange(tracks * 5) // 5 % 3 == stem % 3, stem + 1] = 0.001
    return StoreIndex(
        sources=("mixture", *STEMS),
        sample_rate=16_000,
        track_ids=tuple(f"t{track}" for track in range(tracks)),
        track_samples=np.full(tracks, 5 * 62_720 + 240),
        segment_track=np.repeat(np.arange(tracks), 5),
        segment_start=np.tile(np.arange(5) * 62_720, tracks),
        segment_samples=np.full(tracks * 5, 62_960),
        segment_level=level,
        published_level=level[::-1].copy(),
    )


def rows_of(plan: CropPlan) -> set[tuple[int, int]]:
    anchor = plan.views["anchor"]
    return set(zip(anchor.track.tolist(), (anchor.start // 62_720).tolist(), strict=True))


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_msa_draws_every_stem_it_is_given_equally_often_and_no_other(
    subset: tuple[str, ...],
) -> None:
    index = four_stems()
    objective = MusicSourceAssociation(MsaOptions(stems=subset), CONTEXT)
    plans = [objective.plan(index, np.random.default_rng(seed), 128) for seed in range(240)]
    drawn = [set(plan.views["positive"].source.tolist()) for plan in plans]
    assert all(len(sources) == 1 for sources in drawn)
    count = np.bincount([sources.pop() for sources in drawn], minlength=5)
    asked = [index.sources.index(stem) for stem in subset]
    assert count.sum() == count[asked].sum()
    assert (np.abs(count[asked] - 240 / len(subset)) < 4 * np.sqrt(240 / len(subset))).all()


def test_a_batch_of_active_segments_is_128_distinct_ones_in_which_the_source_sounds() -> None:
    index = four_stems()
    objective = MusicSourceAssociation(MsaOptions(silent_share=0.0), CONTEXT)
    for seed in range(50):
        plan = objective.plan(index, np.random.default_rng(seed), 128)
        assert len(rows_of(plan)) == 128
        source = plan.views["positive"].source[0]
        segments = plan.views["positive"].track * 5 + plan.views["positive"].start // 62_720
        assert (index.segment_level[segments, source] > 0.01).all()


def test_half_of_the_batches_take_any_segment_and_a_third_of_those_are_silent() -> None:
    index = four_stems()
    objective = MusicSourceAssociation(MsaOptions(), CONTEXT)
    silent = [
        objective.plan(index, np.random.default_rng(seed), 128).labels["silent"].mean()
        for seed in range(600)
    ]
    mixed = [share for share in silent if share > 0]
    assert len(mixed) / 600 == pytest.approx(0.5, abs=0.08)
    assert np.mean(mixed) == pytest.approx(1 / 3, abs=0.01)


def test_offsets_of_both_crops_are_uniform_and_independent() -> None:
    index = four_stems()
    objective = MusicSourceAssociation(MsaOptions(), CONTEXT)
    plans = [objective.plan(index, np.random.default_rng(seed), 128) for seed in range(300)]
    offsets = {
        view: np.concatenate([plan.views[view].start % 62_720 for plan in plans]) // 160
        for view in ("anchor", "positive")
    }
    for drawn in offsets.values():
        assert np.bincount(drawn, minlength=295).shape == (295,)
        expected = len(drawn) / 295
        chi_square = ((np.bincount(drawn, minlength=295) - expected) ** 2 / expected).sum()
        assert chi_square < 294 + 5 * np.sqrt(2 * 294)
    assert abs(np.corrcoef(offsets["anchor"], offsets["positive"])[0, 1]) < 0.03


def test_the_last_offset_can_be_left_out_as_published() -> None:
    index = four_stems(tracks=2)
    for last, highest in ((True, 294), (False, 293)):
        cola = Cola(PairOptions(last_offset=last), CONTEXT)
        plans = [cola.plan(index, np.random.default_rng(seed), 10) for seed in range(1_000)]
        starts = np.concatenate([plan.views["positive"].start for plan in plans])
        assert (starts % 62_720).max() == highest * 160


def test_silence_is_judged_over_the_segment_or_over_windows_that_drift() -> None:
    waveform = np.zeros(465_984, np.float32)
    waveform[6 * 64_000 : 6 * 64_000 + 100] = 1.0
    levels = segment_levels(waveform)
    assert np.flatnonzero(levels[:, 0]).tolist() == [6]
    # 62,720 * 6 + 62,720 - 64,000 * 6 = 55,040 samples of segment 6 lie in drifting window 6.
    waveform = np.zeros(465_984, np.float32)
    waveform[6 * 62_720 : 6 * 62_720 + 5_000] = 1.0
    levels = segment_levels(waveform)
    assert np.flatnonzero(levels[:, 0]).tolist() == [6]
    assert np.flatnonzero(levels[:, 1]).tolist() == [5]
    for number in range(7):
        window = np.abs(waveform[number * 64_000 : (number + 1) * 64_000]).mean()
        assert levels[number, 1] == pytest.approx(window)


def test_msa_takes_the_drifting_levels_on_demand() -> None:
    index = four_stems()
    options = MsaOptions(stems=("vocals",), silent_share=1.0, silence_windows="drifting")
    plan = MusicSourceAssociation(options, CONTEXT).plan(index, np.random.default_rng(0), 128)
    segments = plan.views["positive"].track * 5 + plan.views["positive"].start // 62_720
    np.testing.assert_array_equal(plan.labels["silent"], index.published_level[segments, 1] <= 0.01)


def publish(crop: NDArray[np.float64], drawn: dict[str, NDArray[np.int64]]) -> NDArray[np.float64]:
    """Mask and shift in place, as the published code does it, then warp into a copy."""
    for start, width in drawn["time_masks"]:
        crop[start : start + width] = 0
    for start, width in drawn["band_masks"]:
        crop[:, start : start + width] = 0
    if bands := int(drawn["shift"]):
        crop[:, : 64 - bands] = crop[:, bands:].copy()
        crop[:, 64 - bands :] = 0
    if (pivot := int(drawn["pivot"])) == 48:
        return crop
    places = np.concatenate([np.linspace(0, pivot, 49), np.linspace(pivot + 1, 97, 49)])
    return np.stack([np.interp(places, np.arange(98), band) for band in crop.T], axis=1)


@pytest.mark.parametrize("leak", [True, False])
def test_masks_and_shifts_leak_between_overlapping_crops_only_if_asked_for(leak: bool) -> None:
    rows, rng = 64, np.random.default_rng(0)
    segments = rng.standard_normal((rows, 392, 64))
    starts = {"anchor": rng.integers(0, 294, rows), "positive": rng.integers(0, 294, rows)}
    starts["positive"][:40] = np.clip(starts["anchor"][:40] + rng.integers(-97, 98, 40), 0, 293)
    track = np.arange(rows)
    views = {view: Crops(track, track * 0, start * 160) for view, start in starts.items()}
    augment = MaskWarpShift(MwsAugmentationOptions(leak=leak), CONTEXT)
    labels = augment.draw(CropPlan(views), rng)
    crops = {
        view: torch.from_numpy(
            np.stack([segments[row, at : at + 98] for row, at in enumerate(start)])
        )
        for view, start in starts.items()
    }
    tensors = {name: torch.from_numpy(value) for name, value in labels.items()}
    fast = augment.augment_features(crops, tensors)
    for row in range(rows):
        # With `leak` both are views of one array, which each changes in place.
        kept = [segments[row].copy() for _ in starts]
        arrays = dict(zip(starts, [kept[0], kept[0] if leak else kept[1]], strict=True))
        slow = {
            view: publish(
                arrays[view][starts[view][row] : starts[view][row] + 98],
                {
                    name.removeprefix(f"{view}_"): value[row]
                    for name, value in labels.items()
                    if name.startswith(view)
                },
            )
            for view in starts
        }
        for view, crop in slow.items():
            np.testing.assert_allclose(fast[view][row].numpy(), crop, atol=1e-12)


def test_crops_of_different_waveforms_have_nothing_to_leak() -> None:
    start = np.zeros(8, np.int64)
    views = {
        "anchor": Crops(np.arange(8), start, start),
        "positive": Crops(np.arange(8), start + 1, start),
    }
    augment = MaskWarpShift(MwsAugmentationOptions(leak=True), CONTEXT)
    assert (augment.draw(CropPlan(views), np.random.default_rng(0))["distance"] == 98).all()


def test_a_random_mask_is_a_sigmoid_of_a_bilinear_field_written_slowly() -> None:
    options = RandomMaskAugmentationOptions(keep=0.3, sharpness=2.0, time_cells=4, band_cells=3)
    augment = RandomMask(options, CONTEXT)
    at = np.zeros(5, np.int64)
    plan = CropPlan({view: Crops(at, at, at) for view in ("anchor", "positive")})
    grid = augment.draw(plan, np.random.default_rng(0))["positive_grid"]
    log_mel = np.random.default_rng(1).standard_normal((5, 98, 64)) - 5
    views = {"anchor": torch.zeros(5, 98, 64), "positive": torch.from_numpy(log_mel)}
    masked = augment.augment_features(views, {"positive_grid": torch.from_numpy(grid)})["positive"]
    for row, frame, band in np.random.default_rng(2).integers(0, (5, 98, 64), (200, 3)):
        x, y = frame * 3 / 97, band * 2 / 63
        left, low = min(int(x), 2), min(int(y), 1)
        cell = grid[row, left : left + 2, low : low + 2].astype(float)
        field = np.array([1 - (x - left), x - left]) @ cell @ np.array([1 - (y - low), y - low])
        mask = 1 / (1 + np.exp(-2.0 * field) * (1 - 0.3) / 0.3)
        expected = max(log_mel[row, frame, band] + np.log(mask), np.log(1e-5))
        assert masked[row, frame, band].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_the_share_a_random_mask_keeps_is_what_half_of_it_lies_above() -> None:
    augment = RandomMask(RandomMaskAugmentationOptions(keep=0.25), CONTEXT)
    at = np.zeros(2_000, np.int64)
    plan = CropPlan({view: Crops(at, at, at) for view in ("anchor", "positive")})
    grid = torch.from_numpy(augment.draw(plan, np.random.default_rng(0))["positive_grid"])
    views = {"anchor": torch.zeros(2_000, 98, 64), "positive": torch.zeros(2_000, 98, 64)}
    mask = augment.augment_features(views, {"positive_grid": grid})["positive"].exp()
    assert mask.median().item() == pytest.approx(0.25, abs=0.01)


def test_the_head_is_linear_layer_normalisation_tanh_with_keras_epsilon() -> None:
    torch.manual_seed(0)
    head = ProjectionHead(24)
    rows = np.random.default_rng(0).standard_normal((3, 24)) * 0.01
    linear, norm = head[0], head[1]
    assert isinstance(linear, torch.nn.Linear)
    assert isinstance(norm, torch.nn.LayerNorm)
    flat = rows @ linear.weight.detach().double().numpy().T
    centred = flat - flat.mean(1, keepdims=True)
    slow = np.tanh(centred / np.sqrt(flat.var(1, keepdims=True) + 1e-3))
    np.testing.assert_allclose(
        head(torch.from_numpy(rows).float()).detach().numpy(), slow, atol=1e-5
    )


def test_weight_decay_is_decoupled_and_spares_vectors() -> None:
    network = torch.nn.Linear(3, 2).double()
    plain, decayed = copy.deepcopy(network), copy.deepcopy(network)
    for model, decay in ((plain, 0.0), (decayed, 0.1)):
        optimizer = adam(model, torch.device("cpu"), decay)
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        model(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
        optimizer.step()
    torch.testing.assert_close(plain.weight - decayed.weight, 0.01 * 0.1 * network.weight)
    assert torch.equal(plain.bias, decayed.bias)


def test_adam_is_that_of_keras() -> None:
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((6, 40)) * 10.0 ** rng.uniform(-9, 0, 40)
    parameter = torch.nn.Parameter(torch.zeros(40, dtype=torch.float64))
    optimizer = torch.optim.Adam([parameter], lr=1e-3, betas=BETAS)
    value, first, second = np.zeros(40), np.zeros(40), np.zeros(40)
    for step, gradient in enumerate(gradients):
        optimizer.param_groups[0]["eps"] = keras_epsilon(step)
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        # Kingma and Ba's efficient form, which Keras has.
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        rate = 1e-3 * np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        value = value - rate * first / (np.sqrt(second) + 1e-7)
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-9)
