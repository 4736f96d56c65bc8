"""Damage to audio, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mscol_cli.audio.corruption import (
    MP3_RATES,
    Corruption,
    add_noise,
    change_level,
    load_corrupted,
    shift_pitch,
    through_mp3,
)
from tests.helpers.audio import tones, write_audio

RATE = 16000


def sine(frequency: float, seconds: float = 3.0, rate: int = RATE) -> NDArray[np.float32]:
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def ratio_db(signal: NDArray[np.float32], error: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.square(signal).sum() / np.square(error).sum()))


@pytest.mark.parametrize("ratio", [-5.0, 10.0, 30.0])
def test_noise_has_the_ratio_that_was_asked_for(ratio: float) -> None:
    clean = sine(440)
    assert ratio_db(clean, add_noise(clean, ratio, 1) - clean) == pytest.approx(ratio, abs=0.01)


def test_noise_is_the_same_again_and_silence_stays_silent() -> None:
    clean = sine(440)
    np.testing.assert_array_equal(add_noise(clean, 10, 1), add_noise(clean, 10, 1))
    assert not np.array_equal(add_noise(clean, 10, 1), add_noise(clean, 10, 2))
    assert not add_noise(np.zeros(100, np.float32), 10, 1).any()


def test_gain_clips_at_full_scale_and_rounds_to_sixteen_bits() -> None:
    clean = sine(440)
    assert change_level(clean, 20).max() == np.float32(32767 / 32768)
    assert not change_level(clean, -90).any()
    np.testing.assert_allclose(change_level(clean, -6), clean * 10 ** (-6 / 20), atol=2**-16)


@pytest.mark.parametrize("semitones", [-12, -5, -1, 1, 7, 12])
def test_pitch_moves_by_semitones_and_duration_stays(semitones: int) -> None:
    shifted = shift_pitch(sine(440), RATE, semitones)
    assert len(shifted) == 3 * RATE
    loudest = np.abs(np.fft.rfft(shifted)).argmax() / 3
    assert loudest == pytest.approx(440 * 2 ** (semitones / 12), abs=0.5)
    seconds = [shifted[start : start + RATE].std() for start in range(0, len(shifted), RATE)]
    np.testing.assert_allclose(seconds, sine(440).std(), rtol=0.15)


def test_no_shift_changes_nothing() -> None:
    np.testing.assert_array_equal(shift_pitch(sine(440), RATE, 0), sine(440))


@pytest.mark.slow
@pytest.mark.parametrize("rate", MP3_RATES)
def test_mp3_stays_in_time_and_gets_better_with_bits(rate: int) -> None:
    noise = np.random.default_rng(0).standard_normal(3 * rate)
    clean = (0.1 * np.convolve(noise, np.hanning(31) / 15, "same")).astype(np.float32)
    quality = []
    for kbps in (40, 64, 160):
        decoded, found_rate = through_mp3(clean, rate, kbps)
        assert (found_rate, len(decoded)) == (rate, len(clean))
        scale = float(decoded @ clean / (decoded @ decoded))
        quality.append(ratio_db(clean, scale * decoded - clean))
    assert 15 < quality[0] < quality[1] < quality[2]


def test_a_rate_that_mp3_lacks_is_changed_and_changed_back(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "clip.wav", sine(440, rate=96000)[None], 96000)
    found = load_corrupted(path, RATE, Corruption("mp3", 64))
    assert len(found) == 3 * RATE
    assert np.abs(np.fft.rfft(found)).argmax() / 3 == pytest.approx(440, abs=0.5)


def test_files_of_two_channels_are_averaged_first(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "clip.wav", tones(1.0, channels=2))
    for kind, amount in (("noise", 20.0), ("gain", -3.0), ("pitch", 2.0), ("mp3", 64.0)):
        found = load_corrupted(path, RATE, Corruption(kind, amount))
        assert found.shape == (RATE,)
        assert found.dtype == np.float32


def test_names_tell_amounts_apart() -> None:
    assert Corruption("noise", 20).name == "noise 20 dB"
    assert Corruption("pitch", 2).name == "pitch +2 semitones"
    assert Corruption("mp3", 64).name == "mp3 64 kbit/s"
