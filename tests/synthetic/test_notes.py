"""Single notes: every family, at pitch, loud while held and quiet after the release."""

import numpy as np
import pytest

from mscol_cli.synthetic import FAMILIES, render_note
from mscol_cli.synthetic.notes import PITCHES, instrument_of

RATE = 16_000


@pytest.mark.parametrize("family", FAMILIES)
def test_note_lasts_four_seconds_and_dies_after_its_release(family: str) -> None:
    note = render_note(family, 0, 60 if family != "bass" else 40, 100, seed=1)
    assert note.dtype == np.float32
    assert note.shape == (4 * RATE,)
    assert 0.4 < np.abs(note).max() < 0.9
    assert np.abs(note[-RATE // 8 :]).mean() < 0.2 * np.abs(note[: RATE // 2]).mean()


@pytest.mark.parametrize("family", ["organ", "reed", "synth_lead", "guitar", "string"])
def test_note_has_the_asked_pitch(family: str) -> None:
    note = render_note(family, 0, 69, 100, seed=1)[RATE // 4 : RATE]
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note))))
    hertz = np.fft.rfftfreq(len(note), 1 / RATE)
    comb = [sum(spectrum[np.abs(hertz - k * f0) < 8].max() for k in (1, 2, 3, 4)) for f0 in
            (415.3, 440.0, 466.2)]  # fmt: skip
    assert int(np.argmax(comb)) == 1


def test_velocity_makes_it_louder_and_brighter() -> None:
    soft, hard = (render_note("keyboard", 0, 60, velocity, seed=1) for velocity in (25, 127))
    assert np.abs(hard).max() > 1.5 * np.abs(soft).max()
    power = [np.abs(np.fft.rfft(note)) for note in (soft, hard)]
    bright = [part[8000:].sum() / part.sum() for part in power]
    assert bright[1] > bright[0]


def test_instruments_of_a_family_differ_and_are_repeatable() -> None:
    first, again, other = (render_note("brass", i, 60, 100, seed=5) for i in (0, 0, 3))
    assert first.tobytes() == again.tobytes()
    assert not np.array_equal(first, other)
    assert instrument_of("brass", 0, seed=5).model == instrument_of("brass", 3, seed=5).model


def test_every_family_has_a_range() -> None:
    assert set(PITCHES) == set(FAMILIES)
    assert len(FAMILIES) == 11
