"""separate and its weights: the licence is said before they come, and offline none come."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Command, Offer
from tests.helpers.audio import tones, write_audio
from tests.helpers.downloads import Server, remote
from tests.helpers.openunmix import write_model

Capture = pytest.CaptureFixture[str]
TARGETS = ("vocals",)
SEPARATE = (
    "separate",
    "a.wav",
    "-o",
    "a.store",
    "--model",
    "umxhq",
    "--opt",
    "targets=vocals",
    "--opt",
    "niter=0",
)


@pytest.fixture
def served(server: Server, offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A table whose `umxhq` is a tiny model on the server, an empty folder of torch.hub, a song."""
    folder, files = write_model(tmp_path / "model", TARGETS, hidden_size=512), []
    for target in TARGETS:
        content = (folder / f"{target}.pth").read_bytes()
        name = f"{target}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        files.append(remote(server, name, content))
    offer(umxhq=files)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    write_audio(tmp_path / "a.wav", tones(1.5, 44100), 44100)
    return server


@pytest.mark.slow
def test_the_licence_is_said_before_the_first_byte_and_kept_in_the_store(
    mscol: Command, served: Server, tmp_path: Path, capsys: Capture
) -> None:
    assert mscol(*SEPARATE) == 0
    said = capsys.readouterr().err.splitlines()
    assert "The umxhq of a test" in said[0]
    assert said[1].startswith("licence: licence of umxhq")
    assert "weights: umxhq, licence: licence of umxhq" in said
    assert json.loads(Path("a.store/store.json").read_text())["separator"]["passport"]["licence"]
    assert mscol(*SEPARATE) == 0
    assert "fetching" not in capsys.readouterr().err
    shutil.rmtree(tmp_path / "torch")
    assert mscol(*SEPARATE, "--dry-run") == 0, "hashes of missing weights are not compared"


@pytest.mark.parametrize("by", ["option", "environment"])
def test_offline_nothing_is_asked_for(
    mscol: Command, served: Server, capsys: Capture, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "environment":
        monkeypatch.setenv("MSCOL_OFFLINE", "1")
    assert mscol(*SEPARATE, *(["--offline"] if by == "option" else [])) == 4
    assert "mscol download umxhq" in capsys.readouterr().err
    assert served.requests == []
    assert not Path("a.store").exists()
