"""The package `mscol`: its names, what importing it loads, and its types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mscol
import mscol_cli

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from typing_extensions import assert_type

ROOT = Path(mscol.__file__).parents[1]


def test_importing_it_loads_neither_torch_nor_numpy() -> None:
    heavy = ["torch", "numpy", "typer", "rich", "mscol_cli.host", "mscol_encoders"]
    code = f"import mscol, sys; mscol.MscolError; print(sys.modules.keys() & set({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.strip() == b"set()"


@pytest.mark.parametrize("name", mscol.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    assert getattr(mscol, name)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page or f"mscol.{name}" in page
    assert name in dir(mscol)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'embed'"):
        mscol.embed  # type: ignore[attr-defined]  # noqa: B018


def test_it_has_the_version_and_the_types() -> None:
    assert mscol.__version__ is mscol_cli.__version__
    assert (ROOT / "mscol" / "py.typed").exists()


def what_a_type_checker_knows(model: mscol.Model, audio: Tensor) -> None:
    """Never run: mypy reads it."""
    assert_type(model.embed("song.mp3"), NDArray[np.float32])
    assert_type(model.embed(Path("song.mp3"), windows=True), mscol.Windows)
    assert_type(model.embed(["a.wav", "b.wav"], errors="nan"), NDArray[np.float32])
    assert_type(model.embed([Path("a.wav")], windows=True), list[mscol.Windows])
    assert_type(model.embed(audio, 44_100), NDArray[np.float32])
    assert_type(model.embed(audio.numpy(), 44_100, windows=True), mscol.Windows)
    assert_type(model.encoder, mscol.WaveformEncoder)
    assert_type(mscol.load(), mscol.Model)
    assert_type(mscol.separate("music", progress=lambda update: update.done), mscol.SeparateResult)
    assert_type(mscol.pretrain(objective="msa", steps=10), mscol.PretrainResult)
    assert_type(mscol.probe("fma", seeds=1), mscol.ProbeResult)
    assert_type(mscol.probe_table(["fma"], ["a", "b"]), mscol.ProbeTable)
    assert_type(mscol.Store.open("music.store"), mscol.Store)
    assert_type(mscol.Vectors.open("vectors"), mscol.Vectors)
    # An ignore that is not needed is an error, so these lines must be errors.
    model.embed(audio)  # type: ignore[call-overload]
    model.embed("song.mp3", 44_100)  # type: ignore[call-overload]
    mscol.pretrain(stepz=1)  # type: ignore[call-arg]
    mscol.probe("fma", seeds="5")  # type: ignore[arg-type]
