"""SampleCNN as CLMR has it: geometry, widths, normalisation, and the resampling in front."""

from __future__ import annotations

import pytest
import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F

from mscol_cli.api import NoOptions
from mscol_cli.engine.embedding import whole_windows
from mscol_encoders.sample_cnn import CROP_SAMPLES, NETWORK_SAMPLES, SampleCNN


@pytest.fixture(scope="module")
def encoder() -> SampleCNN:
    torch.manual_seed(0)
    encoder = SampleCNN(NoOptions())
    for norm in encoder.modules():
        if isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None:
            norm.running_mean.normal_(std=0.01)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    return encoder.eval()


def convolutions(encoder: SampleCNN) -> list[nn.Conv1d]:
    return [module for module in encoder.modules() if isinstance(module, nn.Conv1d)]


def slow_network(encoder: SampleCNN, crop: Tensor) -> Tensor:
    """One crop (59,049) through the layers, one after the other."""
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm1d)]
    x = crop[None]
    for number, (conv, norm) in enumerate(zip(convolutions(encoder), norms, strict=True)):
        stride, padding = (3, 0) if number == 0 else (1, 1)
        x = F.conv1d(x, conv.weight, conv.bias, stride=stride, padding=padding)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        x = (x - norm.running_mean[:, None]) / (norm.running_var[:, None] + 1e-5).sqrt()
        x = (x * norm.weight[:, None] + norm.bias[:, None]).clamp(min=0)
        if 1 <= number <= 9:
            x = x.reshape(len(x), -1, 3).amax(dim=2)
    return x[:, 0]


def resampled(waveforms: Tensor) -> Tensor:
    """(batch, samples) at 16 kHz to 22,050 Hz, the filter computed in double precision."""
    double: Tensor = torchaudio.functional.resample(waveforms.double(), 16_000, 22_050)
    return double.float()


def test_widths_and_parameters_are_those_of_clmr(encoder: SampleCNN) -> None:
    widths = [conv.out_channels for conv in convolutions(encoder)]
    assert widths == [128, 128, 128, 256, 256, 256, 256, 256, 256, 512, 512]
    into = [1, *widths[:-1]]
    expected = sum(3 * a * b + b + 2 * b for a, b in zip(into, widths, strict=True))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == expected == 2_368_512


def test_every_layer_leaves_a_third_until_one_place_is_left(encoder: SampleCNN) -> None:
    x, lengths = torch.zeros(1, 1, NETWORK_SAMPLES), []
    for layer in encoder.network:
        x = layer(x)
        lengths.append(x.shape[2])
    assert lengths == [3**power for power in range(9, -1, -1)] + [1]


def test_a_crop_is_the_shortest_that_fills_the_network(encoder: SampleCNN) -> None:
    assert encoder.frontend(torch.zeros(1, CROP_SAMPLES)).shape == (1, 59_049)
    assert encoder.frontend(torch.zeros(1, CROP_SAMPLES - 1)).shape[1] < 59_049


@pytest.mark.slow
def test_it_is_the_network_written_slowly(encoder: SampleCNN) -> None:
    crops = 0.1 * torch.randn(2, NETWORK_SAMPLES)
    with torch.inference_mode():
        fast = encoder(crops)
        slow = torch.stack([slow_network(encoder, crop) for crop in crops])
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_crops_are_resampled_as_torchaudio_does(encoder: SampleCNN) -> None:
    crops = torch.randn(3, CROP_SAMPLES)
    torch.testing.assert_close(
        encoder.frontend(crops), resampled(crops)[:, :NETWORK_SAMPLES], rtol=0, atol=1e-5
    )


def test_a_crop_of_a_clip_is_that_crop_of_the_resampled_clip(encoder: SampleCNN) -> None:
    # Both grids meet every 320 samples of 16 kHz, which are 441 of 22,050 Hz.
    clip = torch.randn(1, 3 * CROP_SAMPLES)
    start = 100 * 320
    whole = resampled(clip)
    crop = encoder.frontend(clip[:, start : start + CROP_SAMPLES])
    inside = slice(10, NETWORK_SAMPLES - 10)
    wanted = whole[:, 100 * 441 :][:, inside]
    torch.testing.assert_close(crop[:, inside], wanted, rtol=0, atol=1e-5)


def test_the_resampler_is_no_weight_of_a_checkpoint(encoder: SampleCNN) -> None:
    assert all(name.startswith("network.") for name in encoder.state_dict())


def test_a_clip_has_as_many_windows_as_in_clmr(encoder: SampleCNN) -> None:
    for samples in (465_600, 466_000, 480_000):  # MagnaTagATune lasts 29.1 s, FMA 30 s
        assert len(whole_windows(encoder, samples)) == int(samples * 22_050 / 16_000) // 59_049
