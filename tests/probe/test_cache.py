"""Where embeddings are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from mscol_cli.probe.cache import cache_folder


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MSCOL_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "vectors"
    monkeypatch.delenv("MSCOL_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "mscol" / "vectors"
