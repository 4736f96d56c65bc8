"""Encoders with their front end as one module."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mscol_cli.contracts.levels import Level
from mscol_cli.engine.embedding import embed_clip
from mscol_cli.engine.models import build_encoder
from mscol_cli.engine.waveform_encoder import WaveformEncoder
from mscol_cli.errors import UsageError
from mscol_cli.host import find_part, load_registry
from tests.helpers.audio import tones


def build(name: str, level: Level = "norm") -> WaveformEncoder:
    encoder = build_encoder(find_part(load_registry(), "encoder", name), seed=0)
    encoder.level = level
    return WaveformEncoder(encoder.eval())


@pytest.mark.parametrize("level", ["norm", "rms", "none"])
def test_a_vector_is_that_of_embed(level: Level) -> None:
    encoder, clips = build("small", level), tones(3.1, channels=2)
    with torch.no_grad():
        windows = encoder.encode_windows(torch.from_numpy(clips))
        vectors = encoder(torch.from_numpy(clips))
    assert windows.shape == (2, 3, encoder.dim)
    for clip, vector, rows in zip(clips, vectors, windows, strict=True):
        expected = embed_clip(encoder.network, clip).windows
        np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(vector, expected.mean(axis=0), rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_waveform_and_the_weights_also_after_embed() -> None:
    encoder, clip = build("small"), tones(1.0)
    embed_clip(encoder.network, clip[0])
    waveforms = torch.from_numpy(clip).requires_grad_()
    encoder(waveforms).square().sum().backward()
    for tensor in (waveforms, *encoder.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
    assert waveforms.grad is not None
    assert waveforms.grad.abs().max() > 0


def test_silence_has_a_finite_gradient() -> None:
    waveforms = torch.zeros(1, 16_000, requires_grad=True)
    build("small")(waveforms).sum().backward()
    assert waveforms.grad is not None
    assert waveforms.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(16_000,), (1, 15_000), (1, 1, 16_000)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"\(batch, samples\) with at least 15920 samples"):
        build("small")(torch.zeros(shape))
