"""Reverberation without a loop over samples, against the recursive filters written slowly."""

from __future__ import annotations

import numpy as np
import torch

from mscol_objectives.reverb import Reverb
from tests.helpers.waveforms import RATE, Waveform, noise, parameters

ROOMS = ((0, 0, 0), (99, 99, 99), (99, 0, 0), (50, 50, 100), (0, 99, 37))
"""Reverberance, damping and room scale, percent."""


def slow_reverb(waveform: Waveform, reverberance: int, damping: int, room: int) -> Waveform:
    """Sample by sample: combs with a low-pass in their feedback, then all-passes, twice."""
    feedback = 1 - 0.7 ** (1 - reverberance / 100) * 0.02 ** (reverberance / 100)
    pole = 0.2 + 0.3 * damping / 100
    wet = np.zeros_like(waveform)
    for spread in (0, 12):
        mixed = np.zeros_like(waveform)
        for number, tuning in enumerate((1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)):
            moved = tuning + spread * (-1) ** number
            mixed += slow_comb(waveform, delay_at(moved, 0.1 + 0.9 * room / 100), feedback, pole)
        for number, tuning in enumerate((225, 341, 441, 556)):
            mixed = slow_all_pass(mixed, delay_at(tuning + spread * (-1) ** number, 1.0))
        wet += 0.015 * mixed / 2
    return waveform + wet


def delay_at(tuning: int, scale: float) -> int:
    return int(scale * tuning * RATE / 44_100 + 0.5)


def slow_comb(waveform: Waveform, delay: int, feedback: float, pole: float) -> Waveform:
    line, kept, out = [0.0] * delay, 0.0, np.zeros_like(waveform)
    for at, sample in enumerate(waveform):
        out[at] = line[at % delay]
        kept = (1 - pole) * out[at] + pole * kept
        line[at % delay] = sample + feedback * kept
    return out


def slow_all_pass(waveform: Waveform, delay: int) -> Waveform:
    line, out = [0.0] * delay, np.zeros_like(waveform)
    for at, sample in enumerate(waveform):
        held = line[at % delay]
        out[at] = held - sample
        line[at % delay] = sample + 0.5 * held
    return out


def test_reverberation_is_that_of_the_recursive_filters() -> None:
    samples = 5_000
    waveforms = noise(len(ROOMS), samples)
    changed = Reverb(RATE)(waveforms, parameters(*ROOMS))
    for row, room in enumerate(ROOMS):
        slow = slow_reverb(waveforms[row].numpy(), *room)
        added = np.abs(slow - waveforms[row].numpy()).max()
        np.testing.assert_allclose(changed[row].numpy(), slow, atol=1e-4 * added)


def test_reverberation_of_single_precision_is_near_that_of_double() -> None:
    waveforms = noise(len(ROOMS), 42_847)
    double = Reverb(RATE)(waveforms, parameters(*ROOMS))
    single = Reverb(RATE)(waveforms.float(), parameters(*ROOMS))
    assert single.dtype == torch.float32
    assert float((single - double).abs().max()) < 1e-4 * float(waveforms.std())
