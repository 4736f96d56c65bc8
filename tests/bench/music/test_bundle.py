"""The run that becomes the bundled encoder."""

from pathlib import Path

import pytest
import torch

from bench.music import bundle
from mscol_cli.engine.models import resolve_model
from mscol_cli.host import load_registry


def test_a_run_replaces_the_bundled_model(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, folder = tmp_path / "card.md", tmp_path / "mini"
    card.write_text("# A card\n")
    (folder / "old").mkdir(parents=True)
    monkeypatch.setattr(bundle, "BUNDLED", folder)
    bundle.main([str(trained), "--card", str(card)])
    assert (folder / "CARD.md").read_text() == "# A card\n"
    assert not (folder / "old").exists()
    monkeypatch.setattr("mscol_cli.engine.references.BUNDLED", folder)
    assert resolve_model("mini", None, load_registry(), torch.device("cpu")).step == 6


def test_a_run_without_a_checkpoint_keeps_the_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "card.md").write_text("# A card\n")
    (tmp_path / "mini").mkdir()
    monkeypatch.setattr(bundle, "BUNDLED", tmp_path / "mini")
    with pytest.raises(SystemExit):
        bundle.main([str(tmp_path / "run"), "--card", str(tmp_path / "card.md")])
    assert "has no checkpoint" in capsys.readouterr().err
    assert (tmp_path / "mini").is_dir()
