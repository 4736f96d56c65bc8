"""The log-mel front end, against its definition written out slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mscol_encoders.logmel import CROP_SAMPLES, WINDOW_HOP, LogMel, mel_matrix

FloatArray = NDArray[np.float64]


def music(samples: int, seed: int = 0) -> NDArray[np.float32]:
    """A decaying chord and noise, silent at first, at L2 norm 1."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 16000
    chord = sum(np.sin(2 * np.pi * f * time) for f in (65.0, 220.0, 1760.0, 7000.0))
    waveform = (chord + 0.1 * rng.standard_normal(samples)) * np.exp(-time)
    waveform[: samples // 8] = 0.0
    levelled: NDArray[np.float32] = (waveform / np.linalg.norm(waveform)).astype(np.float32)
    return levelled


def mel(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def slow_mel_matrix() -> FloatArray:
    step = (mel(7800.0) - mel(60.0)) / 65
    weights = np.zeros((513, 64))
    for row in range(1, 513):
        for band in range(64):
            centre = mel(60.0) + (band + 1) * step
            weights[row, band] = max(0.0, 1.0 - abs(mel(row * 16000 / 1024) - centre) / step)
    return weights


def slow_log_mel(waveform: NDArray[np.float32]) -> FloatArray:
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]
    weights = slow_mel_matrix()
    frames = []
    for start in range(0, len(waveform) - 400 + 1, 160):
        padded = np.zeros(1024)
        padded[:400] = waveform[start : start + 400] * window
        magnitude = np.abs(np.fft.fft(padded)[:513])
        frames.append(np.log(np.clip(magnitude @ weights, 1e-5, 1e8)))
    return np.array(frames)


def test_the_mel_triangles_are_linear_in_mel_and_leave_out_dc() -> None:
    np.testing.assert_allclose(mel_matrix(), slow_mel_matrix(), atol=2e-5)
    assert not mel_matrix()[0].any()


def test_log_mel_follows_its_definition() -> None:
    waveform = music(CROP_SAMPLES)
    found = LogMel()(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(found, slow_log_mel(waveform), atol=1e-4)


def test_silence_lies_on_the_floor() -> None:
    assert LogMel()(torch.zeros(1, 720)).unique().tolist() == pytest.approx([math.log(1e-5)])


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (559, 1), (560, 2), (15920, 98)])
def test_the_signal_is_not_padded(samples: int, frames: int) -> None:
    assert LogMel()(torch.zeros(2, samples)).shape == (2, frames, 64)


def test_rows_do_not_touch_each_other() -> None:
    batch = torch.from_numpy(np.stack([music(2000, seed) for seed in range(20)]))
    together, alone = LogMel()(batch), torch.cat([LogMel()(row[None]) for row in batch])
    torch.testing.assert_close(together, alone)


def test_a_later_window_has_the_frames_of_the_whole_clip() -> None:
    waveform = torch.from_numpy(music(3 * CROP_SAMPLES))
    clip = LogMel()(waveform[None])[0]
    window = LogMel()(waveform[None, WINDOW_HOP : WINDOW_HOP + CROP_SAMPLES])[0]
    torch.testing.assert_close(window, clip[98:196])


def test_the_front_end_has_nothing_to_save() -> None:
    assert not LogMel().state_dict()
