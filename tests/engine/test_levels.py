"""What whole clips are scaled to before an encoder sees them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mscol_cli.contracts.levels import REFERENCE_RMS, level_factor
from mscol_cli.contracts.plans import Crops
from mscol_cli.engine.embedding import at_level
from mscol_cli.engine.models import load_model
from mscol_cli.host import load_registry
from mscol_cli.store import Store
from tests.conftest import Command
from tests.helpers.messages import mentions


def tone(seconds: float) -> NDArray[np.float32]:
    phase = np.arange(int(seconds * 16_000)) * 0.05
    wave: NDArray[np.float32] = (0.3 * np.sin(phase)).astype(np.float32)
    return wave


def test_norm_makes_short_clips_louder_than_long_ones_and_rms_does_not() -> None:
    short, long = tone(4.0), tone(29.1)
    offset = {
        level: np.log(np.abs(at_level(short, level)).max() / np.abs(at_level(long, level)).max())
        for level in ("norm", "rms", "none")
    }
    assert offset["norm"] == pytest.approx(0.99, abs=0.01)  # of NSynth against MagnaTagATune
    assert offset["rms"] == pytest.approx(0, abs=1e-3)
    assert offset["none"] == pytest.approx(0, abs=1e-3)


def test_a_clip_of_magnatagatune_is_alike_at_norm_and_rms() -> None:
    clip = tone(29.12)
    assert np.linalg.norm(at_level(clip, "norm")) == pytest.approx(1, abs=1e-5)
    assert np.sqrt(np.mean(at_level(clip, "rms") ** 2)) == pytest.approx(REFERENCE_RMS, rel=1e-4)
    np.testing.assert_allclose(at_level(clip, "rms"), at_level(clip, "norm"), rtol=1e-3)


def test_silence_stays_silent_at_every_level() -> None:
    assert not any(at_level(np.zeros(16_000, np.float32), level).any() for level in ("norm", "rms"))
    assert level_factor("none", 0.0, 5) == 1


@pytest.mark.parametrize("level", ["norm", "rms", "none"])
def test_crops_of_a_store_have_the_level_of_the_whole_clip(store: Path, level: str) -> None:
    opened = Store.open(store)
    at = np.array([0])
    stored, factor = opened.gather(Crops(at, at, at + 160), 16_000, level)  # type: ignore[arg-type]
    whole = at_level(opened.waveform(0), level)  # type: ignore[arg-type]
    np.testing.assert_allclose(stored[0] * factor[0], whole[160:16_160], rtol=1e-3, atol=1e-7)


def test_an_encoder_is_trained_and_embeds_at_the_level_it_was_asked_for(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--encoder", "small", "--steps", 1, "--batch-size", 4, "--device", "cpu"]
    train = ["pretrain", store, "--objective", "cola", *options]
    assert mscol(*train, "--encoder-opt", "level=loud", "-o", "bad") == 2
    assert mentions(capsys.readouterr().err, "norm, rms", "'loud'")
    assert mscol(*train, "--encoder-opt", "level=rms", "-o", "run") == 0
    assert json.loads(Path("run/run.json").read_text())["encoder"]["options"]["level"] == "rms"
    model = load_model(Path("run"), load_registry(), torch.device("cpu"))
    assert model.encoder.level == "rms"
