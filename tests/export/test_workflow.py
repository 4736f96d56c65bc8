"""`export`: a file that computes what `embed` computes, or no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.embedding import embed_clip
from mscol_cli.engine.models import build_encoder, load_model
from mscol_cli.engine.waveform_encoder import scale_to
from mscol_cli.export import formats, workflow
from mscol_cli.export.formats import METADATA_FILE
from mscol_cli.host import find_part, load_registry
from tests.conftest import Command, run_in
from tests.helpers.audio import tones
from tests.helpers.messages import mentions
from tests.helpers.plugins import WHOLE, install_plugin

Array = NDArray[np.float32]
BRANCHING = WHOLE.replace(
    "return self.linear(features)",
    "return self.linear(features) if features.sum() > 1e9 else 2 * self.linear(features)",
)
# The length of the traced batch becomes a constant.
FIXED = WHOLE.replace(
    "return self.linear(features)",
    "return self.linear(features).reshape(len(features), -1)",
)


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An encoder of a plugin that is exported at once."""
    install_plugin("whole", WHOLE, tmp_path / "plugins", monkeypatch)
    return "net"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    run_in(folder, ["export", "untrained", "--encoder", "small", "-o", "new/small.onnx"])
    return folder / "new" / "small.onnx"


def build(name: str) -> Encoder:
    return build_encoder(find_part(load_registry(), "encoder", name), 0).eval()


def run_onnx(path: Path) -> Callable[[Array], Array]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(clips: Array) -> Array:
        vectors: Array = session.run(["vectors"], {"waveform": clips})[0]
        return vectors

    return run


def run_torch(path: Path) -> Callable[[Array], Array]:
    module = torch.export.load(path).module()

    def run(clips: Array) -> Array:
        with torch.no_grad():
            vectors: Array = module(torch.from_numpy(clips)).numpy()
        return vectors

    return run


def assert_embeds(run: Callable[[Array], Array], encoder: Encoder) -> None:
    """One clip of one window, and clips of several with a rest, as `embed` embeds them."""
    rate = encoder.sample_rate
    window = encoder.crop_samples / rate
    for clips in ([tones(window)], [tones(2.6 * window, seed=row) for row in (1, 2)]):
        batch = np.stack([clip.reshape(-1) for clip in clips]).astype(np.float32)
        expected = np.stack([embed_clip(encoder, clip).windows.mean(axis=0) for clip in batch])
        np.testing.assert_allclose(run(batch), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_onnx_computes_what_embed_computes(small: Path) -> None:
    assert_embeds(run_onnx(small), build("small"))


@pytest.mark.slow
def test_onnx_embeds_silence_and_long_clips_as_embed_does(small: Path) -> None:
    run, encoder = run_onnx(small), build("small")
    silence = np.zeros((2, encoder.crop_samples), np.float32)
    silence[1, 100] = 1e-10
    assert_close = np.testing.assert_allclose
    expected = np.stack([embed_clip(encoder, clip).windows.mean(axis=0) for clip in silence])
    assert_close(run(silence), expected, rtol=1e-3, atol=1e-3)
    # The level of ten minutes: a sum in float32 would be too low by 0.7 per cent.
    long = 0.1 * torch.randn(1, 600 * 16_000, generator=torch.Generator().manual_seed(0))
    exact = long.double() / (long.double().norm() + 1e-9)
    assert_close(scale_to("norm", long).numpy(), exact.numpy(), rtol=1e-6)


@pytest.mark.slow
def test_onnx_names_its_dimensions_and_describes_itself(small: Path) -> None:
    model = onnx.load(small)
    onnx.checker.check_model(model)
    (source,), (target,) = model.graph.input, model.graph.output
    assert (source.name, target.name) == ("waveform", "vectors")
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (source, target)
    ]
    assert shapes == [["batch", "samples"], ["batch", 256]]
    metadata = {item.key: item.value for item in model.metadata_props}
    assert metadata["encoder"] == "small"
    assert metadata["model"] == "untrained-small"
    assert len(metadata["model_hash"]) == 64
    assert (metadata["sample_rate"], metadata["window_samples"]) == ("16000", "15920")
    assert (metadata["level"], metadata["level_inside"], metadata["pool"]) == (
        "norm",
        "true",
        "mean",
    )
    assert [path.name for path in small.parent.iterdir()] == ["small.onnx"]


@pytest.mark.slow
def test_torch_export_of_a_run_computes_what_embed_computes(
    mscol: Command, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("export", trained, "--format", "torch", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["output"], result["format"], result["dim"]) == ("model.pt2", "torch", 256)
    assert result["difference"] < workflow.BOUND
    extra = {METADATA_FILE: ""}
    torch.export.load("model.pt2", extra_files=extra)
    assert json.loads(extra[METADATA_FILE])["model_hash"] == result["model_hash"]
    model = load_model(trained, load_registry(), torch.device("cpu"))
    assert_embeds(run_torch(Path("model.pt2")), model.encoder)


@pytest.mark.slow
def test_windows_are_kept_on_request(mscol: Command, net: str) -> None:
    assert mscol("export", "untrained", "--encoder", net, "--pool", "none", "-o", "model.pt2") == 0
    encoder = build(net)
    clip = tones(3.3).reshape(1, -1).astype(np.float32)
    vectors = run_torch(Path("model.pt2"))(clip)
    np.testing.assert_allclose(
        vectors[0], embed_clip(encoder, clip[0]).windows, rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_b0", "sample_cnn"])
def test_the_other_encoders_are_exported(mscol: Command, name: str) -> None:
    assert mscol("export", "untrained", "--encoder", name, "-o", "model.onnx") == 0
    assert_embeds(run_onnx(Path("model.onnx")), build(name))


@pytest.mark.slow
def test_a_model_that_differs_from_torch_is_not_written(
    mscol: Command,
    net: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(workflow, "BOUND", -1.0)
    assert mscol("export", "untrained", "--encoder", net, "-o", "out/model.pt2") == 1
    assert mentions(capsys.readouterr().err, "differs from torch", "out/model.pt2", "not written")
    assert not Path("out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "plugin", "output"),
    [("branching", BRANCHING, "model.pt2"), ("fixed", FIXED, "model.onnx")],
)
def test_an_encoder_that_cannot_be_exported_is_one_line(
    mscol: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    plugin: str,
    output: str,
) -> None:
    install_plugin(name, plugin, tmp_path / "plugins", monkeypatch)
    assert mscol("export", "untrained", "--encoder", "net", "-o", output) == 1
    _, line = capsys.readouterr().err.splitlines()
    format = "onnx" if name == "fixed" else "torch"
    assert mentions(line, "encoder 'net'", f"{name} 1", f"cannot be exported to {format}")
    assert not Path(output).exists()


def test_missing_packages_are_named_with_the_extra(
    mscol: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else name)
    assert mscol("export", "untrained", "--encoder", "small") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert mentions(line, "onnxscript", "mscol[onnx]")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "model.bin"],
        ["-o", "model.pt2", "--format", "onnx"],
        ["--format", "coreml"],
        ["--pool", "sum"],
        ["-o", "folder.onnx"],
    ],
)
def test_options_that_cannot_be_are_refused_before_any_work(
    mscol: Command, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    Path("folder.onnx").mkdir()
    assert mscol("export", "gone", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "gone" not in line


def test_a_model_that_is_not_there_is_missing_data(
    mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("export", "gone", "--format", "torch") == 4
    assert "gone" in capsys.readouterr().err


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_one_line(
    mscol: Command, net: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("")
    assert mscol("export", "untrained", "--encoder", net, "-o", "file/model.pt2") == 1
    assert mentions(capsys.readouterr().err, "file/model.pt2")
