"""A shift of pitch: sines, silence above the band, and overlap-add written slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mscol_objectives.pitch import PitchShift, speed_up
from tests.helpers.waveforms import RATE, Waveform, noise, parameters, sines


@pytest.mark.slow
@pytest.mark.parametrize("cents", [-700, -123, -1, 1, 50, 700])
@pytest.mark.parametrize("frequency", [110.0, 440.0, 2_500.0])
def test_a_sine_comes_out_at_its_new_pitch_and_its_old_level(cents: int, frequency: float) -> None:
    samples = 42_847
    shifted = PitchShift(RATE, 700)(sines([frequency], samples).float(), parameters((cents,)))
    assert shifted.shape == (1, samples)
    found = peak_frequency(shifted[0].double())
    assert 1_200 * math.log2(found / frequency) == pytest.approx(cents, abs=3)
    assert float(shifted.std()) == pytest.approx(math.sqrt(0.5), rel=0.05)


def peak_frequency(waveform: Tensor) -> float:
    """Hz of the strongest partial, by a parabola through the logarithm of its spectrum."""
    window = torch.hann_window(len(waveform), dtype=torch.float64)
    log = (torch.fft.rfft(waveform * window, n=4 * len(waveform)).abs() + 1e-12).log()
    peak = int(log.argmax())
    left, centre, right = (float(value) for value in log[peak - 1 : peak + 2])
    bend = 0.5 * (left - right) / (left - 2 * centre + right)
    return (peak + bend) * RATE / (4 * len(waveform))


def test_no_cents_change_nothing() -> None:
    waveforms = noise(2, 15_920)
    changed = PitchShift(RATE, 700)(waveforms, parameters((0,), (300,)))
    assert torch.equal(changed[0], waveforms[0])
    assert not torch.allclose(changed[1], waveforms[1], atol=0.01)


def test_resampling_moves_every_partial_and_drops_what_has_no_room() -> None:
    ratio = parameters((1.5,), (0.75,))[:, 0]
    frequencies = [300.0, 3_000.0, 7_000.0]
    for frequency in frequencies:
        faster = speed_up(sines([frequency, frequency], 16_000), ratio)
        for row, rate in enumerate(ratio.tolist()):
            samples = int(16_000 / rate)
            new = frequency * rate
            wanted = sines([new], samples)[0] if new < RATE / 2 else torch.zeros(samples).double()
            inside = slice(200, samples - 200)
            gap = (faster[row, inside] - wanted[inside]).abs().max()
            assert float(gap) < 0.02, (frequency, rate)


def slow_stretch(waveform: Waveform, rate: float, samples: int) -> Waveform:
    """Overlap-add of segments of 82 ms, each moved by up to 14.68 ms to continue the last best."""
    segment, overlap, search = 1_312, 192, 235
    written = list(waveform[:segment])
    begin = segment - overlap
    while begin < samples:
        nominal = round(begin * rate) - search // 2
        nominal = max(0, min(nominal, int(samples * rate) - segment - search))
        tail = np.array(written[begin : begin + overlap])
        gaps = [
            ((waveform[nominal + move : nominal + move + overlap] - tail) ** 2).sum()
            for move in range(search + 1)
        ]
        start = nominal + int(np.argmin(gaps))
        for step in range(overlap):
            share = step / overlap
            new = waveform[start + step]
            written[begin + step] = (1 - share) * tail[step] + share * new
        written += list(waveform[start + overlap : start + segment])
        begin += segment - overlap
    return np.array(written[:samples])


def test_time_is_stretched_by_overlap_add_where_waveforms_are_alike() -> None:
    samples, longest = 6_000, 9_000
    waveforms = sines([150.0, 333.0, 150.0], longest) + noise(3, longest)
    rate = torch.tensor([1.5, 0.8, 1.0], dtype=torch.float64)
    stretched = PitchShift(RATE, 700).stretch(waveforms, rate, samples)
    for row in range(3):
        slow = slow_stretch(waveforms[row].numpy(), float(rate[row]), samples)
        np.testing.assert_allclose(stretched[row].numpy(), slow, atol=1e-12)
