"""Against what the published code computed: needs the folder that MSCOL_REFERENCE names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from mscol_cli.engine.models import Model, build_objective, load_model
from mscol_cli.host import find_objective, load_registry
from mscol_importers.bundle import open_bundle
from mscol_importers.mapping import published_mapping
from mscol_importers.matching import find_problems
from tests.conftest import Command
from tests.helpers.audio import write_audio

FIXTURES = Path(os.environ.get("MSCOL_REFERENCE", "no reference")) / "fixtures"
pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="MSCOL_REFERENCE is not set")
Arrays = dict[str, NDArray[np.float32]]


def arrays(name: str) -> Arrays:
    with np.load(FIXTURES / name, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture
def model(mscol: Command) -> Model:
    """The reference checkpoint, imported."""
    assert mscol("import", FIXTURES / "tf_checkpoint" / "checkpoint-1", "-o", "msa") == 0
    return load_model(Path("msa"), load_registry(), torch.device("cpu"))


@pytest.mark.slow
def test_the_encoder_and_head_compute_what_keras_did(model: Model) -> None:
    reference = arrays("encoder.npz")
    objective = build_objective(find_objective(load_registry(), "msa"), model.encoder, seed=0)
    objective.load_state_dict(load_file("msa/objective.safetensors"))
    with torch.inference_mode():
        embeddings = model.encoder(torch.from_numpy(reference["crops"][..., 0]))
        projected = objective.get_submodule("head")(embeddings)
    np.testing.assert_allclose(embeddings, reference["encoder_output"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(projected, reference["projected"], rtol=0, atol=1e-4)


def test_every_variable_of_the_released_model_has_its_place() -> None:
    bundle = open_bundle(FIXTURES / "released_checkpoint-10.index")
    assert find_problems(bundle.variables, published_mapping()) == []


def test_the_released_index_without_its_data_is_missing_data(
    mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("import", FIXTURES / "released_checkpoint-10.index", "-o", "msa") == 4
    assert "released_checkpoint-10.data-00000-of-00001" in capsys.readouterr().err


@pytest.mark.slow
def test_embed_equals_the_encoder_run_by_hand_on_the_reference_log_mel(
    model: Model, mscol: Command, tmp_path: Path
) -> None:
    reference = arrays("logmel.npz")
    write_audio(tmp_path / "clip.wav", reference["waveform"][None])
    assert mscol("embed", "clip.wav", "--model", "msa", "--windows") == 0
    embedded = arrays(str(tmp_path / "embeddings.npz"))["embeddings"]
    # The reference log-mel is that of the waveform at L2 norm 1, as embed makes it.
    frames = reference["log_mel"][: len(reference["log_mel"]) // 98 * 98]
    with torch.inference_mode():
        by_hand = model.encoder(torch.from_numpy(frames).reshape(-1, 98, 64)).numpy()
    np.testing.assert_allclose(embedded, by_hand, rtol=0, atol=1e-3 * np.abs(by_hand).max())
