"""Safetensors files: a full disk is an OSError that names the file."""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from mscol_cli.system.tensors import save_tensors


@contextmanager
def small_files() -> Iterator[None]:
    """No file of this process can exceed 1 kB, which may include the log of the tests."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_does_not_fit_is_an_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(OSError, match="File too large") as raised, small_files():
        save_tensors(path, {"weights": torch.zeros(1000)})
    assert raised.value.errno == errno.EFBIG
    assert raised.value.filename == str(path)


def test_the_mode_is_that_of_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_tensors(tmp_path / "a.safetensors", {"weights": torch.ones(2, 1).T}, {"layout": "1"})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o640
    assert load_file(tmp_path / "a.safetensors")["weights"].tolist() == [[1, 1]]


def test_equal_files_are_equal_byte_for_byte(tmp_path: Path) -> None:
    metadata = {"b": 'caf\u00e9 \u2028 "\n\x01', **{f"key {number}": "x" for number in range(20)}}
    contents = set()
    for _ in range(3):
        save_tensors(tmp_path / "a.safetensors", {"a": torch.ones(3)}, metadata)
        contents.add((tmp_path / "a.safetensors").read_bytes())
    assert len(contents) == 1
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == metadata
        assert torch.equal(file.get_tensor("a"), torch.ones(3))


def test_shared_weights_are_saved_under_each_name(tmp_path: Path) -> None:
    weight = torch.arange(6.0)
    save_tensors(tmp_path / "a", {"one": weight, "two": weight, "part": weight[2:]})
    saved = load_file(tmp_path / "a")
    assert torch.equal(saved["one"], weight)
    assert torch.equal(saved["two"], weight)
    assert torch.equal(saved["part"], weight[2:])
