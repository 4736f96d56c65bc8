"""`pretrain --init`: weights of a model or of timm, what was loaded, and how it is recorded."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.host import find_objective, find_part, load_registry
from mscol_cli.pretrain.initial_weights import load_matching
from mscol_cli.runs.checkpoint import weights_hash
from tests.conftest import Command
from tests.helpers.hub import Hub, Repository
from tests.helpers.messages import mentions
from tests.helpers.tensorflow import published_variables, write_checkpoint

QUICK = ["--objective", "cola", "--batch-size", 8, "--device", "cpu"]
REPOSITORY = "timm/tf_efficientnet_b0.ns_jft_in1k"
REVISION = "0123456789abcdef0123456789abcdef01234567"


def newest(run: Path) -> Path:
    return max((run / "checkpoints").glob("step-*"))


def info(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "run.json").read_text())
    return content


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


@pytest.fixture(scope="module")
def timm_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the original network, three input channels and a classifier, as on the hub."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    save_file(timm.create_model("tf_efficientnet_b0").state_dict(), path)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's client, without access to the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def fill(cache: Path, file: Path) -> None:
    model = cache / f"models--{REPOSITORY.replace('/', '--')}"
    (model / "snapshots" / REVISION).mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(REVISION)
    shutil.copy(file, model / "snapshots" / REVISION / file.name)


def build(name: str) -> Encoder:
    return build_encoder(find_part(load_registry(), "encoder", name), 0)


def test_a_run_starts_from_the_weights_of_another(
    mscol: Command, store: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The encoder is that of the model.
    assert mscol("pretrain", store, *QUICK, "--init", trained, "--steps", 1, "-o", "run") == 0
    printed = capsys.readouterr().err
    digest = weights_hash(newest(trained))
    assert mentions(printed, "run@6", digest[:12], "30 tensors loaded", "0 missing")
    assert same(
        load_file("run/init.safetensors"), load_file(newest(trained) / "encoder.safetensors")
    )
    recorded = info(Path("run"))["init"]
    assert recorded["reference"] == str(trained)
    assert (recorded["hash"], recorded["step"], recorded["loaded"]) == (digest, 6, 30)
    assert recorded["store"]["path"] == str(store)
    assert info(newest(Path("run")))["init"] == recorded
    assert mscol("runs", "show", "run") == 0
    assert mentions(capsys.readouterr().out, "init.reference", "init.hash")


@pytest.mark.slow
def test_a_seed_repeats_and_resume_keeps_the_weights_and_the_record(
    mscol: Command, store: Path, trained: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(trained, source)
    start = ["pretrain", store, *QUICK, "--schedule", "constant", "--init", source]
    assert mscol(*start, "--steps", 4, "-o", "whole") == 0
    assert mscol(*start, "--steps", 2, "-o", "run") == 0
    before = info(Path("run"))["init"]
    shutil.rmtree(source)
    assert mscol("pretrain", "--resume", "-o", "run", "--init", source, "--steps", 4) == 0
    assert info(Path("run"))["init"] == before
    for name in ("encoder", "objective", "optimizer"):
        one, other = (
            load_file(newest(Path(run)) / f"{name}.safetensors") for run in ("run", "whole")
        )
        assert same(one, other)


@pytest.mark.slow
def test_a_resumed_run_without_a_checkpoint_starts_from_the_same_weights(
    mscol: Command, store: Path, trained: Path
) -> None:
    start = ["pretrain", store, *QUICK, "--init", trained, "--steps", 1]
    assert mscol(*start, "-o", "run") == 0
    first = load_file(newest(Path("run")) / "encoder.safetensors")
    shutil.rmtree("run/checkpoints")
    assert mscol("pretrain", "--resume", "-o", "run") == 0
    assert same(load_file(newest(Path("run")) / "encoder.safetensors"), first)


def test_resume_refuses_another_source(
    mscol: Command, store: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("pretrain", store, *QUICK, "--encoder", "small", "--steps", 1, "-o", "run") == 0
    assert mscol("pretrain", "--resume", "-o", "run", "--init", trained, "--steps", 2) == 2
    assert mentions(capsys.readouterr().err, "init", str(trained))


@pytest.mark.slow
@pytest.mark.processes
def test_two_processes_start_as_one_does(mscol: Command, store: Path, trained: Path) -> None:
    losses = []
    for processes in (1, 2):
        run = Path(f"run {processes}")
        start = ["pretrain", store, *QUICK, "--init", trained, "--steps", 1, "-o", run]
        assert mscol(*start, "--processes", processes) == 0
        losses.append(json.loads((run / "metrics.jsonl").read_text())["loss"])
    # Batches of other sizes are rounded differently, more with AVX2 than with AVX-512.
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_tensors_that_do_not_fit_are_counted_and_named() -> None:
    encoder = build("small")
    own = encoder.state_dict()
    first, second, *_ = own
    others = {name: tensor + 1 for name, tensor in own.items() if name != first}
    others |= {second: torch.zeros(3), "more": torch.zeros(2)}
    before = {name: own[name].clone() for name in (first, second)}
    matching = load_matching(encoder, others)
    assert matching.describe() == (
        f"28 tensors loaded, 1 missing ({first}), 1 unexpected (more), 1 mismatched ({second})"
    )
    after = encoder.state_dict()
    assert same({name: after[name] for name in before}, before)
    assert all(after[name].equal(others[name]) for name in own if name not in before)


def test_a_model_of_another_encoder_is_refused(
    mscol: Command, store: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["pretrain", store, *QUICK, "--init", trained, "--encoder", "efficientnet_b0"]
    assert mscol(*arguments, "-o", "run") == 2
    assert mentions(capsys.readouterr().err, str(trained), "none of its 30 tensors", "small")
    assert not Path("run").exists()


@pytest.mark.parametrize(("reference", "code"), [("gone", 4), ("untrained", 2), ("logmel", 2)])
def test_a_reference_that_is_no_trained_model_is_one_line(
    mscol: Command, store: Path, capsys: pytest.CaptureFixture[str], reference: str, code: int
) -> None:
    assert mscol("pretrain", store, *QUICK, "--init", reference, "-o", "run") == code
    (line,) = capsys.readouterr().err.splitlines()
    assert reference in line
    assert not Path("run").exists()


def test_a_recipe_sets_it_and_the_written_recipe_has_it(
    mscol: Command, store: Path, trained: Path
) -> None:
    Path("own.toml").write_text(
        f'[pretrain]\nobjective = "cola"\ninit = "{trained}"\nsteps = 1\nbatch-size = 8\n'
    )
    assert mscol("pretrain", store, "--recipe", "own.toml", "-o", "run", "--device", "cpu") == 0
    recipe = Path("run/recipe.toml").read_text()
    assert mentions(recipe, f'init = "{trained}"', 'encoder = "small"')


def test_options_of_the_encoder_are_those_of_the_model(
    mscol: Command, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["pretrain", store, *QUICK, "--steps", 1]
    level = ["--encoder", "small", "--encoder-opt", "level=rms"]
    assert mscol(*start, *level, "-o", "first") == 0
    assert mscol(*start, "--init", "first", "-o", "second") == 0
    assert info(Path("second"))["encoder"]["options"] == {"level": "rms"}


@pytest.mark.slow
def test_an_imported_model_is_trained_on(mscol: Command, store: Path) -> None:
    registry, encoder = load_registry(), build("efficientnet_b0")
    objective = build_objective(find_objective(registry, "msa"), encoder, 0)
    write_checkpoint(Path("tf/checkpoint-1"), published_variables(encoder, objective, 640_000))
    assert mscol("import", "tf", "-o", "models/msa") == 0
    assert mscol("pretrain", store, *QUICK, "--init", "models/msa", "--steps", 1, "-o", "run") == 0
    recorded = info(Path("run"))["init"]
    assert (recorded["model"], recorded["missing"]) == ("msa@640000", [])
    assert recorded["imported"]["importer"]["name"] == "tensorflow"
    assert same(load_file("run/init.safetensors"), load_file("models/msa/encoder.safetensors"))


@pytest.mark.slow
@pytest.mark.network
def test_timm_weights_are_downloaded_from_the_hub_and_kept(
    mscol: Command, store: Path, hub: Hub, timm_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {timm_file.name: timm_file.read_bytes(), "pytorch_model.bin": b"never downloaded"}
    hub.repositories[REPOSITORY] = Repository()
    hub.repositories[REPOSITORY].commit(files)
    arguments = ["pretrain", store, *QUICK, "--init", "timm", "--dry-run"]
    assert mscol(*arguments) == 0
    assert not any(path.endswith(".bin") for path in hub.requests)
    hub.requests.clear()
    monkeypatch.setenv("MSCOL_OFFLINE", "1")
    assert mscol(*arguments) == 0
    assert hub.requests == []


@pytest.mark.slow
def test_timm_adapts_its_weights_to_one_channel(
    mscol: Command, store: Path, cache: Path, timm_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(cache, timm_file)
    assert mscol("pretrain", store, *QUICK, "--init", "timm", "--steps", 1, "-o", "run") == 0
    assert mentions(capsys.readouterr().err, REPOSITORY, "358 tensors loaded", "0 missing")
    started, original = load_file("run/init.safetensors"), load_file(timm_file)
    stem = original["conv_stem.weight"].sum(dim=1, keepdim=True)
    torch.testing.assert_close(started["network.conv_stem.weight"], stem)
    name = "blocks.1.0.conv_dw.weight"
    assert started[f"network.{name}"].equal(original[name])
    recorded = info(Path("run"))["init"]
    assert recorded["model"] == REPOSITORY
    assert re.fullmatch("[0-9a-f]{64}", recorded["hash"])


def test_timm_weights_that_cannot_be_downloaded_are_missing_data(
    mscol: Command, store: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("pretrain", store, *QUICK, "--init", "timm", "-o", "run") == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert mentions(line, REPOSITORY, "HF_HUB_OFFLINE")
    assert not Path("run").exists()


def test_timm_weights_need_an_encoder_of_timm(
    mscol: Command, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["pretrain", store, *QUICK, "--encoder", "small", "--init", "timm", "-o", "run"]
    assert mscol(*arguments) == 2
    assert mentions(capsys.readouterr().err, "efficientnet_b0", "small")


@pytest.mark.slow
def test_a_damaged_file_of_timm_is_one_line(
    mscol: Command, store: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    fill(cache, tmp_path / "model.safetensors")
    assert mscol("pretrain", store, *QUICK, "--init", "timm", "-o", "run") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert mentions(line, "model.safetensors", "delete it")
