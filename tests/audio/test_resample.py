"""Resampling: lengths, frequencies, and rates that share no factor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mscol_cli.audio import StreamResampler, resample, resample_array


def sine(rate: int, seconds: float = 1.0) -> torch.Tensor:
    return torch.sin(2 * torch.pi * 1000.0 * torch.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000, 44101])
def test_a_tone_stays_what_it_is(rate: int) -> None:
    resampled = resample(sine(rate).expand(2, -1), rate, 16000)
    assert resampled.shape == (2, 16000)
    assert resampled.dtype == torch.float32
    torch.testing.assert_close(resampled[1, 200:-200], sine(16000)[200:-200], atol=0.01, rtol=0.0)


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    high = np.sin(2 * np.pi * 12000 * np.arange(44100) / 44100).astype(np.float32)
    assert np.abs(resample_array(high, 44100, 16000)[200:-200]).max() < 1e-2


def test_one_rate_is_no_work() -> None:
    waveform = sine(16000)
    assert resample(waveform, 16000, 16000) is waveform


@pytest.mark.slow
@pytest.mark.parametrize("rates", [(44100, 16000), (8000, 44100), (48000, 44100), (44101, 16000)])
@pytest.mark.parametrize("piece", [1_000, 30_011, 200_000])
def test_pieces_are_resampled_as_the_whole(rates: tuple[int, int], piece: int) -> None:
    waveform = torch.randn(2, 100_003, generator=torch.Generator().manual_seed(0))
    stream = StreamResampler(*rates)
    pieces = torch.split(waveform, piece, dim=-1)
    given = [stream.push(part, last=part is pieces[-1]) for part in pieces]
    whole = resample(waveform, *rates)
    assert len(pieces) == 1 or given[0].shape[-1] < whole.shape[-1]
    torch.testing.assert_close(torch.cat(given, dim=-1), whole, atol=2e-6, rtol=0.0)
