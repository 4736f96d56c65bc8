"""TensorFlow's checkpoint format: what is written is read, and no damage goes unnoticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mscol_cli.api import BadInputError, MissingDataError
from mscol_importers.bundle import open_bundle
from mscol_importers.wire import Cursor, MalformedError, fields, masked_crc
from tests.helpers.tensorflow import Layout, varint, write_checkpoint

SMALL = Layout(block_bytes=300)
FOOTER = 48


def variables(count: int = 40) -> dict[str, Any]:
    """Names that share long beginnings, in float32 and int64, and one string."""
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {
        f"network/layer-{number}/kernel": rng.normal(size=(number % 4, 3)).astype(np.float32)
        for number in range(count)
    }
    return {**made, "step": np.array(1 << 40), "graph": b"words"}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "small-1", variables(), SMALL)


def test_every_variable_comes_back(index: Path) -> None:
    bundle = open_bundle(index)
    bundle.check_data()
    written = variables()
    assert bundle.variables.keys() == written.keys()
    for name, value in written.items():
        if name != "graph":
            np.testing.assert_array_equal(bundle.read(name), value)
            assert bundle.read(name).dtype == value.dtype


def test_the_test_writes_several_blocks_and_shares_key_prefixes(index: Path) -> None:
    content = index.read_bytes()
    assert len(content) > 4 * SMALL.block_bytes
    assert content.count(b"network/layer-") < 10


@pytest.mark.slow
def test_no_byte_of_an_index_can_change_unnoticed(index: Path) -> None:
    content, whole = index.read_bytes(), open_bundle(index)
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 0x10
        index.write_bytes(flipped)
        if content[position] == 0 and len(content) - FOOTER < position < len(content) - 8:
            assert open_bundle(index) == whole  # padding of the footer
        else:
            with pytest.raises(BadInputError, match=r"small-1\.index"):
                open_bundle(index)


def test_an_index_cut_anywhere_is_refused(index: Path) -> None:
    content = index.read_bytes()
    for length in range(0, len(content), 7):
        index.write_bytes(content[:length])
        with pytest.raises(BadInputError, match=r"small-1\.index"):
            open_bundle(index)


def test_a_changed_byte_of_a_variable_is_found_and_named(index: Path) -> None:
    data = index.with_name("small-1.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    variable = open_bundle(index).variables["network/layer-7/kernel"]
    content[variable.offset + 5] ^= 1
    data.write_bytes(content)
    bundle = open_bundle(index)
    bundle.read("network/layer-6/kernel")
    with pytest.raises(BadInputError, match="network/layer-7/kernel"):
        bundle.read("network/layer-7/kernel")


def test_a_shorter_data_file_is_refused_whatever_was_cut_off(index: Path) -> None:
    data = index.with_name("small-1.data-00000-of-00001")
    size = data.stat().st_size
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(BadInputError, match=rf"{size - 1:,} of {size:,} bytes"):
        open_bundle(index).check_data()


@pytest.mark.parametrize("shards", [1, 3])
def test_a_missing_data_file_is_named(tmp_path: Path, shards: int) -> None:
    index = write_checkpoint(tmp_path / "a", variables(), Layout(header={1: shards}))
    (tmp_path / "a.data-00000-of-00001").unlink()
    with pytest.raises(MissingDataError, match=rf"a\.data-00000-of-0000{shards}"):
        open_bundle(index).check_data()


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout(compression=1), r"compressed \(snappy\)"),
        (Layout(compression=9), r"compressed \(method 9\)"),
        (Layout(header={1: 1, 2: 1}), "big-endian"),
        (Layout(header={}), "announces 0 data files"),
        (Layout(sliced=frozenset({"step", "graph"})), "partitioned .*: graph, step"),
    ],
)
def test_what_is_not_read_is_said(tmp_path: Path, layout: Layout, message: str) -> None:
    index = write_checkpoint(tmp_path / "odd", variables(), layout)
    with pytest.raises(BadInputError, match=message):
        open_bundle(index)


def test_an_unreadable_dtype_is_said(index: Path) -> None:
    bundle = open_bundle(index)
    with pytest.raises(BadInputError, match="graph is string"):
        bundle.read("graph")


def test_the_checksum_is_crc32c_masked() -> None:
    # The check value of CRC-32C for these digits is E3069283.
    rotated = (0xE3069283 >> 15 | 0xE3069283 << 17) & 0xFFFFFFFF
    assert masked_crc(b"123456789") == (rotated + 0xA282EAD8) % 2**32


@pytest.mark.parametrize("value", [0, 127, 128, 300, 2**35, 2**64 - 1])
def test_numbers_come_back(value: int) -> None:
    assert Cursor(varint(value)).varint() == value


@pytest.mark.parametrize("data", [b"\x80", b"\x80" * 11, b"\x0a\x05ab", b"\x0b"])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(fields(data))
