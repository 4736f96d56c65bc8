"""Batches of crops: every segment once, mixed, at the encoder's level."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from mscol_cli.engine.models import resolve_model
from mscol_cli.host import load_registry
from mscol_cli.probe import finetune
from mscol_cli.probe.finetune import crop_batches
from tests.helpers.audio import tones, write_audio

ENCODER = resolve_model("untrained", "small", load_registry(), torch.device("cpu")).encoder


@pytest.mark.parametrize("shuffled", [1, 16])
def test_every_segment_of_every_file_comes_once_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shuffled: int
) -> None:
    monkeypatch.setattr(finetune, "BATCHES_SHUFFLED", shuffled)
    seconds = (1.5, 9.0, 13.0, 5.0)
    paths = [write_audio(tmp_path / f"{row}.wav", tones(long)) for row, long in enumerate(seconds)]
    batches = list(crop_batches(ENCODER, paths, 3, np.random.default_rng(0)))
    rows = [int(row) for _, rows in batches for row in rows]
    assert Counter(rows) == {0: 1, 1: 2, 2: 3, 3: 1}
    assert max(len(rows) for _, rows in batches) <= 3
    for crops, owners in batches:
        assert crops.shape == (len(owners), ENCODER.crop_samples)
    again = list(crop_batches(ENCODER, paths, 3, np.random.default_rng(0)))
    assert all(torch.equal(one[0], two[0]) for one, two in zip(batches, again, strict=True))
    other = crop_batches(ENCODER, paths, 3, np.random.default_rng(1))
    assert any(not torch.equal(one[0], two[0]) for one, two in zip(batches, other, strict=False))
