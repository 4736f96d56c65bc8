"""Exact convolutions on a GPU."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from mscol_cli.engine.devices import forbid_tf32

backends: Any = torch.backends.cudnn


@pytest.fixture
def precision() -> Iterator[None]:
    before = backends.conv.fp32_precision
    yield
    backends.conv.fp32_precision = before


def test_tf32_is_off_within_and_as_before_after() -> None:
    before = backends.allow_tf32
    with forbid_tf32():
        assert not backends.allow_tf32
    assert backends.allow_tf32 == before


@pytest.mark.usefixtures("precision")
def test_a_program_may_have_set_the_precision_by_its_newer_name() -> None:
    backends.conv.fp32_precision = "ieee"
    backends.rnn.fp32_precision = "tf32"
    with pytest.raises(RuntimeError):
        _ = backends.allow_tf32
    with forbid_tf32():
        assert backends.rnn.fp32_precision == "ieee"
    assert (backends.conv.fp32_precision, backends.rnn.fp32_precision) == ("ieee", "tf32")
