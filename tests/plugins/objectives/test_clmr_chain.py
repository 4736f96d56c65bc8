"""CLMR's chain: what it draws, how its rows are changed, and its short steps written slowly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mscol_cli.api import Augmented, CropPlan, Crops, ObjectiveContext
from mscol_objectives.clmr_chain import ClmrAugmentations
from mscol_objectives.cola import Cola
from mscol_objectives.options import ClmrAugmentationOptions, PairOptions
from mscol_objectives.waveform_filter import HighOrLowPass
from mscol_objectives.waveform_steps import Delay, Gain, Noise, Polarity
from tests.helpers.waveforms import RATE, Waveform, make_index, noise, parameters

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=15_920, start_grid=160)
STEPS = ("polarity", "noise", "gain", "filter", "delay", "pitch", "reverb")
NEVER = ClmrAugmentationOptions(
    polarity=0, noise=0, gain=0, filter=0, delay=0, pitch=0, pitch_cents=700, reverb=0
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def make_plan(rows: int) -> CropPlan:
    zero = np.zeros(rows, np.int64)
    return CropPlan({view: Crops(zero, zero, zero) for view in ("anchor", "positive")})


def drawn(rows: int, options: ClmrAugmentationOptions | None = None) -> dict[str, Waveform]:
    chain = ClmrAugmentations(options or ClmrAugmentationOptions(), CONTEXT)
    return chain.draw(make_plan(rows), np.random.default_rng(0))


def tensors(labels: dict[str, Waveform]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in labels.items()}


@pytest.mark.parametrize(
    ("step", "probability"), list(zip(STEPS, (0.8, 0.01, 0.3, 0.8, 0.3, 0.6, 0.6), strict=True))
)
def test_a_step_is_drawn_as_often_as_published(step: str, probability: float) -> None:
    for view in ("anchor", "positive"):
        chosen = ~np.isnan(drawn(20_000)[f"{view}_{step}"][:, 0])
        deviation = (probability * (1 - probability) / 20_000) ** 0.5
        assert chosen.mean() == pytest.approx(probability, abs=4 * deviation)


@pytest.mark.parametrize(
    ("step", "column", "low", "high", "values"),
    [
        ("noise", 0, 1e-4, 1e-2, None),
        ("gain", 0, -20, -1, None),
        ("delay", 0, 200, 450, 6),
        ("pitch", 0, -700, 700, 1401),
        ("reverb", 0, 0, 99, 100),
        ("reverb", 1, 0, 99, 100),
        ("reverb", 2, 0, 99, 100),
    ],
)
def test_parameters_are_uniform_over_the_published_range(
    step: str, column: int, low: float, high: float, values: int | None
) -> None:
    always = ClmrAugmentationOptions(noise=1, gain=1, delay=1, pitch=1, reverb=1)
    found = drawn(50_000, always)[f"anchor_{step}"][:, column]
    assert found.min() == pytest.approx(low, abs=2e-3 * (high - low))
    assert found.max() == pytest.approx(high, abs=2e-3 * (high - low))
    assert found.mean() == pytest.approx((low + high) / 2, abs=0.01 * (high - low))
    assert values is None or len(set(found)) == values


def test_half_of_the_filters_are_high_passes_and_half_are_low_passes() -> None:
    cutoff, high = drawn(20_000, ClmrAugmentationOptions(filter=1))["anchor_filter"].T
    assert high.mean() == pytest.approx(0.5, abs=0.01)
    for found, low, top in ((cutoff[high == 1], 200, 1200), (cutoff[high == 0], 2200, 4000)):
        assert low <= found.min() < low + 1
        assert top - 1 < found.max() <= top
        assert found.mean() == pytest.approx((low + top) / 2, rel=0.02)


def test_views_and_rows_draw_their_own() -> None:
    always = ClmrAugmentationOptions(gain=1)
    labels = drawn(1_000, always)
    anchor, positive = labels["anchor_gain"][:, 0], labels["positive_gain"][:, 0]
    assert len(set(anchor) | set(positive)) == 2_000
    assert abs(np.corrcoef(anchor, positive)[0, 1]) < 0.1


def test_the_range_of_pitch_is_an_option() -> None:
    cents = drawn(5_000, ClmrAugmentationOptions(pitch=1, pitch_cents=2))["anchor_pitch"]
    assert set(cents[:, 0]) == {-2, -1, 0, 1, 2}


def test_a_chain_that_draws_nothing_changes_nothing() -> None:
    chain = ClmrAugmentations(NEVER, CONTEXT)
    views = {view: noise(3, 2_000) for view in ("anchor", "positive")}
    changed = chain.augment_waveforms(views, tensors(chain.draw(make_plan(3), rng())))
    for view, waveforms in views.items():
        assert torch.equal(changed[view], waveforms)


def test_only_the_rows_that_are_drawn_change_and_all_steps_follow_each_other() -> None:
    chain = ClmrAugmentations(NEVER, CONTEXT)
    labels = tensors(chain.draw(make_plan(3), rng()))
    labels["anchor_polarity"][1] = -1.0
    labels["anchor_gain"][1:] = -6.0
    views = {view: noise(3, 2_000) for view in ("anchor", "positive")}
    changed = chain.augment_waveforms(views, labels)
    gain = 10 ** (-6 / 20)
    factors = parameters((1,), (-gain,), (gain,))
    torch.testing.assert_close(changed["anchor"], factors * views["anchor"])
    assert torch.equal(changed["positive"], views["positive"])


def test_the_rows_of_a_batch_do_not_know_of_each_other() -> None:
    chain = ClmrAugmentations(ClmrAugmentationOptions(noise=0.5), CONTEXT)
    labels = tensors(chain.draw(make_plan(6), rng()))
    views = {"anchor": noise(6, 15_920), "positive": noise(6, 15_920, seed=1)}
    together = chain.augment_waveforms(views, labels)
    for row in range(6):
        alone = chain.augment_waveforms(
            {view: waveforms[row : row + 1] for view, waveforms in views.items()},
            {name: label[row : row + 1] for name, label in labels.items()},
        )
        for view in views:
            torch.testing.assert_close(alone[view][0], together[view][row], rtol=0, atol=1e-10)


def test_no_step_depends_on_the_level() -> None:
    chain = ClmrAugmentations(ClmrAugmentationOptions(noise=1), CONTEXT)
    labels = tensors(chain.draw(make_plan(8), rng()))
    views = {view: noise(8, 15_920) for view in ("anchor", "positive")}
    quiet = {view: 0.001 * waveforms for view, waveforms in views.items()}
    changed = chain.augment_waveforms(views, labels)
    for view, waveforms in chain.augment_waveforms(quiet, labels).items():
        torch.testing.assert_close(waveforms, 0.001 * changed[view], rtol=0, atol=1e-12)


def test_silence_stays_silence() -> None:
    always = ClmrAugmentationOptions(1, 1, 1, 1, 1, 1, 700, 1)
    chain = ClmrAugmentations(always, CONTEXT)
    views = {view: torch.zeros(4, 15_920) for view in ("anchor", "positive")}
    for waveforms in chain.augment_waveforms(
        views, tensors(chain.draw(make_plan(4), rng()))
    ).values():
        assert torch.equal(waveforms, torch.zeros(4, 15_920))


def test_it_composes_with_another_objective() -> None:
    chain = ClmrAugmentations(ClmrAugmentationOptions(), CONTEXT)
    objective = Augmented(Cola(PairOptions(), CONTEXT), [chain])
    plan = objective.plan(make_index(*[40_000] * 8), rng(), 8)
    views = {view: noise(8, CONTEXT.crop_samples).float() for view in plan.views}
    labels = {name: torch.from_numpy(label) for name, label in plan.labels.items()}
    changed = objective.augment_waveforms(views, labels)
    for view, waveforms in changed.items():
        assert waveforms.shape == views[view].shape
        assert waveforms.dtype == torch.float32
        assert waveforms.isfinite().all()
        assert not torch.equal(waveforms, views[view])


def test_polarity_and_gain_are_factors() -> None:
    waveforms = noise(2, 100)
    assert torch.equal(Polarity()(waveforms, parameters((-1,), (-1,))), -waveforms)
    louder = Gain()(waveforms, parameters((-20,), (-1,)))
    torch.testing.assert_close(louder, parameters((0.1,), (0.891250938,)) * waveforms)


def test_noise_is_a_share_of_the_crop_and_the_seed_decides_it() -> None:
    waveforms = parameters((0.5,), (0.1,)) * noise(1, 40_000)
    added = Noise()(waveforms, parameters((0.01, 7), (0.001, 8))) - waveforms
    level = added.std(dim=1) / waveforms.std(dim=1)
    torch.testing.assert_close(level, torch.tensor([0.01, 0.001]).double(), rtol=0.02, atol=0)
    assert abs(float(torch.corrcoef(added)[0, 1])) < 0.02
    again = Noise()(waveforms[1:], parameters((0.001, 8))) - waveforms[1:]
    torch.testing.assert_close(again[0], added[1])


def test_a_delayed_copy_at_half_level_is_added_and_the_sum_halved() -> None:
    waveforms = noise(2, 8_000)
    changed = Delay(RATE)(waveforms, parameters((200,), (450,)))
    for row, samples in enumerate((3_200, 7_200)):
        slow = waveforms[row].clone()
        for at in range(samples, 8_000):
            slow[at] += 0.5 * waveforms[row, at - samples]
        torch.testing.assert_close(changed[row], slow / 2)


def test_a_delay_longer_than_the_crop_only_halves_it() -> None:
    waveforms = noise(1, 1_000)
    torch.testing.assert_close(Delay(RATE)(waveforms, parameters((200,))), waveforms / 2)


def slow_low_pass(waveform: Waveform, hertz: float) -> Waveform:
    """A sinc of eight zero crossings on either side, under a Hann window, of unit sum."""
    cutoff = hertz / RATE
    half = int(8 / cutoff / 2)
    time = np.arange(-half, half + 1)
    kernel = np.sinc(2 * cutoff * time) * np.hanning(2 * half + 1)
    padded = np.pad(waveform, half, mode="edge")
    filtered: Waveform = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return filtered


def test_filters_are_windowed_sincs() -> None:
    waveforms = noise(4, 3_000)
    drawn_filters = ((200.0, 1), (1_199.5, 1), (2_201.3, 0), (4_000.0, 0))
    changed = HighOrLowPass(RATE)(waveforms, parameters(*drawn_filters))
    for row, (hertz, high) in enumerate(drawn_filters):
        waveform = waveforms[row].numpy()
        low = slow_low_pass(waveform, hertz)
        slow = waveform - low if high else low
        np.testing.assert_allclose(changed[row].numpy(), slow, atol=1e-12)
