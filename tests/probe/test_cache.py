"""Embeddings kept on disk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mscol_cli.probe import cache
from mscol_cli.probe.cache import (
    Embedded,
    embedding_key,
    read_embeddings,
    with_retried,
    write_embeddings,
)

FRAMING = (16000, 15920, 15680)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A cache file."""
    path = tmp_path / "embeddings" / "key.safetensors"
    windows = torch.arange(12, dtype=torch.float32).reshape(4, 3)
    write_embeddings(path, Embedded(windows, np.array([1, 0, 3]), {1: "it is «short»"}))
    return path


def test_what_was_written_is_read(kept: Path) -> None:
    found = read_embeddings(kept, 3)
    assert found is not None
    assert found.windows.tolist() == torch.arange(12).reshape(4, 3).tolist()
    assert found.counts.tolist() == [1, 0, 3]
    assert found.failures == {1: "it is «short»"}
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_an_absent_file_is_no_embeddings(tmp_path: Path) -> None:
    assert read_embeddings(tmp_path / "none.safetensors", 3) is None


@pytest.mark.parametrize("keep", [0, 7, -1])
def test_a_truncated_file_is_no_embeddings(kept: Path, keep: int) -> None:
    kept.write_bytes(kept.read_bytes()[:keep])
    assert read_embeddings(kept, 3) is None


def test_a_file_with_a_flipped_bit_is_no_embeddings(kept: Path) -> None:
    content = bytearray(kept.read_bytes())
    content[-2] ^= 1
    kept.write_bytes(bytes(content))
    assert read_embeddings(kept, 3) is None


def test_what_failed_is_replaced_in_its_place() -> None:
    windows = torch.arange(8, dtype=torch.float32).reshape(4, 2)
    cached = Embedded(windows, np.array([0, 1, 0, 3]), {0: "late", 2: "bad"})
    found = with_retried(cached, Embedded(torch.full((2, 2), 9.0), np.array([2, 0]), {1: "worse"}))
    assert found.counts.tolist() == [2, 1, 0, 3]
    assert found.windows[:3].tolist() == [[9.0, 9.0], [9.0, 9.0], [0.0, 1.0]]
    assert found.windows[3:].tolist() == windows[1:].tolist()
    assert found.failures == {2: "worse"}


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MSCOL_CACHE", str(tmp_path))
    assert cache.cache_path("abc") == tmp_path / "embeddings" / "abc.safetensors"
    monkeypatch.delenv("MSCOL_CACHE")
    assert cache.cache_folder() == Path.home() / ".cache" / "mscol" / "embeddings"


def test_all_that_determines_embeddings_is_in_the_key(tmp_path: Path) -> None:
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        path.write_bytes(b"1234")
    key = embedding_key("hash", FRAMING, paths)
    assert key == embedding_key("hash", FRAMING, paths)
    others = {
        embedding_key("other", FRAMING, paths),
        embedding_key("hash", (16000, 15920, 7840), paths),
        embedding_key("hash", FRAMING, paths[::-1]),
        embedding_key("hash", FRAMING, paths[:1]),
    }
    os.utime(paths[0], ns=(0, 0))
    others.add(embedding_key("hash", FRAMING, paths))
    paths[0].write_bytes(b"12345")
    os.utime(paths[0], ns=(0, 0))
    others.add(embedding_key("hash", FRAMING, paths))
    paths[0].unlink()
    others.add(embedding_key("hash", FRAMING, paths))
    assert len(others | {key}) == 8
