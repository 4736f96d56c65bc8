"""Model references: the bundled model, the default, and messages about what there is not."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mscol_cli.engine.models import Model, copy_encoder, load_model, resolve_model
from mscol_cli.engine.references import MINI, REFERENCES
from mscol_cli.engine.vector_header import vector_header
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.runs.checkpoint import Checkpoint, latest_checkpoint
from mscol_cli.runs.published import publish, without_folders
from mscol_cli.synthetic import Collection
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions

CPU = torch.device("cpu")


def newest(run: Path) -> Checkpoint:
    checkpoint = latest_checkpoint(run)
    assert checkpoint is not None
    return checkpoint


@pytest.fixture
def no_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mscol_cli.engine.references.BUNDLED", tmp_path / "nothing")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_audio(tmp_path / "song.wav", tones(1.2))


def test_a_published_checkpoint_holds_settings_weights_and_nothing_of_this_machine(
    bundled: Path, trained: Path, store: Path
) -> None:
    assert {path.name for path in bundled.iterdir()} == {
        "run.json",
        "encoder.safetensors",
        "CARD.md",
    }
    text = (bundled / "run.json").read_text()
    assert str(store.parent) not in text
    assert '"/' not in text
    info = json.loads(text)
    assert info["step"] == 6
    assert not {"store", "meter", "machine", "loss"} & info.keys()
    assert info["data"]["tracks"] == info["data"]["trained_tracks"] == 8
    assert info["data"]["separator"]["name"] == "stems"
    recorded = json.loads((trained / "run.json").read_text())["store"]["hash"]
    assert info["data"]["store_hash"] == recorded


def test_half_precision_keeps_running_statistics(bundled: Path, trained: Path) -> None:
    stored = load_file(bundled / "encoder.safetensors")
    full = load_file(newest(trained).folder / "encoder.safetensors")
    assert {tensor.dtype for tensor in stored.values() if tensor.ndim > 1} == {torch.float16}
    for name, tensor in full.items():
        if tensor.ndim < 2:
            assert torch.equal(stored[name], tensor)
        else:
            torch.testing.assert_close(stored[name].float(), tensor, rtol=1e-3, atol=1e-6)


def test_without_a_store_only_its_hash_is_published(trained: Path, tmp_path: Path) -> None:
    checkpoint = newest(trained)
    store = {**checkpoint.info["store"], "path": str(tmp_path / "gone.store")}
    info = {**checkpoint.info, "store": store}
    publish(Checkpoint(checkpoint.folder, 6, info), tmp_path / "out")
    assert json.loads((tmp_path / "out/run.json").read_text())["data"] == {
        "store_hash": store["hash"]
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/home/me/my music/a.toml", "a.toml"),
        ("C:\\music\\a.toml", "a.toml"),
        ("~/music/a.toml", "a.toml"),
        ("weights of /home/me/a.pt, made by me", "weights of a.pt, made by me"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("AGPL/MIT or both", "AGPL/MIT or both"),
        ("from file:///home/me/a.pt", "from a.pt"),
        ("task:/home/me/a, [/home/me/b]", "task:a, [b]"),
        ("on \\\\host\\me\\a.pt and //host/me/b", "on a.pt and b"),
        ({"/home/me/a": 1}, {"a": 1}),
        ({"a": ["/x/y", 3, None]}, {"a": ["y", 3, None]}),
    ],
)
def test_absolute_paths_lose_their_folders(value: object, expected: object) -> None:
    assert without_folders(value) == expected


def test_publishing_overwrites_nothing(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    with pytest.raises(UsageError, match="already contains files"):
        publish(newest(trained), tmp_path / "out")


def test_mini_embeds_as_the_run_it_is_made_of(bundled: Path, trained: Path) -> None:
    registry = load_registry()
    mini = resolve_model(MINI, None, registry, CPU)
    run = load_model(trained, registry, CPU)
    waves = torch.from_numpy(tones(1.0))[:, : run.encoder.crop_samples]
    features = mini.encoder.frontend(waves)
    assert mini.name == "mini"
    assert mini.run is None
    with torch.no_grad():
        difference = mini.encoder(features) - run.encoder(features)
        assert difference.norm() < 1e-2 * run.encoder(features).norm()


def test_without_a_run_embed_uses_mini_and_says_so(
    mscol: Command, bundled: Path, song: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("embed", song, "-o", "v.npz", "--device", "cpu") == 0
    assert "model mini (bundled; runs/latest does not exist), step 6" in capsys.readouterr().err
    with np.load("v.npz") as file:
        assert file["embeddings"].shape == (1, 256)


@pytest.mark.slow
def test_a_run_comes_before_mini(
    mscol: Command, bundled: Path, trained: Path, song: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs").mkdir()
    Path("runs/latest").symlink_to(trained)
    assert mscol("embed", song, "--device", "cpu") == 0
    assert "mini" not in capsys.readouterr().err
    assert mscol("embed", song, "--model", "mini", "--device", "cpu") == 0
    assert "model mini, step 6" in capsys.readouterr().err


def test_untrained_has_the_encoder_of_mini(bundled: Path, mscol: Command) -> None:
    assert resolve_model("untrained", None, load_registry(), CPU).name == "untrained-small"


@pytest.mark.slow
def test_results_of_mini_are_written_beside_the_user_not_into_the_package(
    mscol: Command, bundled: Path, collection: Collection, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds", 1, "--device", "cpu", "--protocol", "epochs=1"]
    assert mscol("probe", "fma", "--data", collection.fma, *options) == 0
    assert "bundled; runs/latest does not exist" in capsys.readouterr().err
    assert list(Path("probes").glob("mini-fma*/probe.json"))
    assert not (bundled / "probes").exists()


def test_without_mini_a_model_has_to_be_named(
    mscol: Command, no_bundled: None, song: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("embed", song) == 4
    assert f"give --model: {REFERENCES}" in capsys.readouterr().err
    assert mscol("embed", song, "--model", "mini") == 4
    assert "install mscol again" in capsys.readouterr().err
    assert mscol("embed", song, "--model", "nowhere") == 4
    assert capsys.readouterr().err == f"error: nowhere is not a model: give {REFERENCES}.\n"


@pytest.mark.parametrize(
    "change", [{"encoder": "small"}, {"encoder": {"name": 3, "options": {}}}, {"step": "six"}]
)
def test_settings_without_an_encoder_are_one_line(
    mscol: Command, bundled: Path, song: Path, change: object, capsys: pytest.CaptureFixture[str]
) -> None:
    info = json.loads((bundled / "run.json").read_text())
    (bundled / "run.json").write_text(json.dumps({**info, **change}))  # type: ignore[dict-item]
    assert mscol("embed", song, "--model", bundled) == 2
    assert "run.json is damaged" in capsys.readouterr().err


def test_missing_weights_are_one_line(bundled: Path) -> None:
    (bundled / "encoder.safetensors").unlink()
    with pytest.raises(MissingDataError, match="has no checkpoint"):
        load_model(bundled, load_registry(), CPU)


def test_plugins_list_the_bundled_model(
    mscol: Command, bundled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("plugins") == 0
    assert "trained with msa for 6 steps" in " ".join(capsys.readouterr().out.split())
    assert mscol("plugins", "--json") == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["name"] == "mini"


@dataclass(frozen=True)
class Layers:
    layer: int = 6


def installed(model: Model, owner: str, version: str, layer: int = 6) -> Model:
    """The model, with an encoder that another package provides."""
    entry = replace(model.part.entry, owner=owner, version=version)
    return replace(model, part=replace(model.part, entry=entry, options=Layers(layer)))


def test_vectors_depend_on_version_and_options_of_an_installed_package() -> None:
    mini = resolve_model("mini", None, load_registry(), CPU)
    other = [(version, layer) for version in ("1", "2") for layer in (6, 12)]
    keys = {vector_header(installed(mini, "other", *choice)).key for choice in other}
    assert len(keys) == 4
    assert vector_header(installed(mini, "mscol", "0.2", 12)).key == vector_header(mini).key


def test_a_model_names_the_installed_version_if_another_one_was_recorded() -> None:
    mini = resolve_model("mini", None, load_registry(), CPU)
    recorded = mini.info["encoder"]["version"]
    described = installed(mini, "other", "9.9").describe()
    assert mentions(described, f"'{mini.part.name}' (other 9.9)", f"trained with {recorded}")
    for owner, version in (("other", recorded), ("mscol", "9.9")):
        assert "trained with" not in installed(mini, owner, version).describe()


def test_the_encoder_of_a_model_is_copied_even_if_it_holds_a_lock() -> None:
    model = resolve_model("untrained", "sample_cnn", load_registry(), CPU)
    model.encoder.lock = Lock()  # type: ignore[assignment]
    with torch.no_grad():
        next(model.encoder.parameters()).mul_(2)
    state = torch.get_rng_state()
    copied = copy_encoder(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert not copied.training
    weights, copies = model.encoder.state_dict(), copied.state_dict()
    assert all(torch.equal(weights[name], copies[name]) for name in weights)
    assert next(copied.parameters()) is not next(model.encoder.parameters())
