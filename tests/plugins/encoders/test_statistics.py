"""Log-mel statistics: a baseline without weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

import mscol
from mscol_encoders.options import LogMelOptions
from mscol_encoders.statistics import LogMelStatistics
from tests.conftest import Command


def test_a_vector_is_the_mean_and_the_deviation_of_each_band() -> None:
    encoder = LogMelStatistics(LogMelOptions())
    assert not list(encoder.parameters())
    log_mel = torch.randn(3, 98, 64, dtype=torch.float64)
    vectors = encoder(log_mel).numpy()
    expected = [np.concatenate([row.mean(0), row.std(0)]) for row in log_mel.numpy()]
    np.testing.assert_allclose(vectors, expected)


def test_it_embeds_as_a_model_of_its_own_name() -> None:
    model = mscol.load("logmel", device="cpu")
    noise = np.random.default_rng(0).standard_normal(32_000) / 10
    assert (model.name, model.step, model.embed(noise, 16_000).shape) == ("logmel", 0, (128,))


def test_it_cannot_be_trained(
    mscol: Command, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("pretrain", store, "--objective", "cola", "--encoder", "logmel") == 2
    assert "encoder 'logmel' has no weights to train" in capsys.readouterr().err
    assert not Path("runs").exists()
