"""An hour of rendered music, separated in several ways."""

from __future__ import annotations

import os
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.music import quality
from mscol_cli.store.reader import Store
from mscol_cli.system.files import file_hash
from tests.conftest import Command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two rendered clips with true stems."""
    rng = np.random.default_rng(0)
    for number in range(2):
        clip = tmp_path / f"data/rendered/0000{number}"
        clip.mkdir(parents=True)
        stems = {name: 0.2 * rng.standard_normal(16_000) for name in ("bass", "drums")}
        for name, audio in (*stems.items(), ("mixture", sum(stems.values()))):
            soundfile.write(clip / f"{name}.flac", audio, 16_000)
        mixtures = tmp_path / "data/rendered-mixtures"
        mixtures.mkdir(exist_ok=True)
        os.link(clip / "mixture.flac", mixtures / f"0000{number}.flac")
    return tmp_path / "data"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The package of the weights, with other bytes."""
    path = tmp_path / f"{quality.PACKAGE}-{quality.VERSION}.tgz"
    with tarfile.open(path, "w:gz") as package:
        member = tarfile.TarInfo(f"package/{quality.WEIGHTS}")
        member.size = 4
        package.addfile(member, BytesIO(b"ONNX"))
    return tmp_path


def test_the_hour_is_the_first_clips_and_their_mixtures(
    data: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "CLIPS", 1)
    monkeypatch.setattr(quality, "SHA256", file_hash(_weights(packages)))
    for _ in range(2):
        quality.prepare(data, packages)
    assert [path.name for path in (data / "hour").iterdir()] == ["00000"]
    assert (data / "hour-mixtures/00000.flac").samefile(data / "hour/00000/mixture.flac")
    assert (data / quality.WEIGHTS).read_bytes() == b"ONNX"


def test_other_weights_are_refused(data: Path, packages: Path) -> None:
    with pytest.raises(SystemExit, match="other weights"):
        quality.prepare(data, packages)
    assert not (data / quality.WEIGHTS).exists()


def test_a_store_is_compared_with_itself_by_name(data: Path, mscol: Command) -> None:
    assert mscol("separate", data / "rendered", "--separator", "stems", "-o", data / "a.store") == 0
    store = Store.open(data / "a.store")
    for one in quality.compare(store, store):
        assert set(one.estimates.values()) == {float("inf")}
        assert max(one.mixture.values()) < 3


def _weights(packages: Path) -> Path:
    path = packages / "weights"
    path.write_bytes(b"ONNX")
    return path
