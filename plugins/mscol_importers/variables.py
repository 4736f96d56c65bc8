"""The entries of an index: protocol buffer messages, of the checkpoint and of its variables.

The one with the empty key describes the checkpoint. Every other one describes a variable: dtype,
shape, and where its bytes lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mscol_importers.table import ForeignError
from mscol_importers.wire import MalformedError, fields

LITTLE_ENDIAN = 0
DTYPES = {1: "float32", 2: "float64", 3: "int32", 7: "string", 9: "int64", 14: "bfloat16"}
READABLE: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "int64": np.dtype("<i8")}
MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Variable:
    """What the index says of one variable.

    Attributes:
        name: Its key.
        dtype: `float32`, `int64`, ...; `type N` for one this module has no name for.
        shape: Its dimensions.
        shard: Number of the data file it lies in.
        offset: First byte in that file.
        size: Bytes.
        checksum: Masked CRC-32C of those bytes.
        partitioned: Whether its values are spread over other entries.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    partitioned: bool

    def describe(self) -> str:
        """Dtype and shape, for messages: `float32 [3, 3, 1, 32]`."""
        return f"{self.dtype} {list(self.shape)}"


def read_header(message: bytes | None) -> int:
    """How many data files a checkpoint has.

    Args:
        message: The value of the empty key; None when there is none.

    Raises:
        ForeignError: It is no checkpoint, or a big-endian one.
        MalformedError: It is damaged.
    """
    if message is None:
        raise ForeignError("is a table, but not the index of a TensorFlow checkpoint")
    header = dict(fields(message))
    if header.get(2, LITTLE_ENDIAN) != LITTLE_ENDIAN:
        raise ForeignError("was written on a big-endian machine; only little-endian ones are read")
    shards = header.get(1, 0)
    if not isinstance(shards, int) or not 1 <= shards < 100_000:
        raise MalformedError(f"it announces {shards!r} data files")
    return shards


def read_entry(key: bytes, message: bytes, shards: int) -> Variable:
    """What an entry says of a variable.

    Args:
        key: The variable's name.
        message: The entry's value.
        shards: Number of data files.

    Raises:
        MalformedError: It contradicts itself, or is no such message.
    """
    found: dict[int, int | bytes] = dict(fields(message))
    name = key.decode("utf-8", "backslashreplace")
    dtype, shard, offset, size, checksum = (
        _integer(found, field, name) for field in (1, 3, 4, 5, 6)
    )
    shape = found.get(2, b"")
    if not isinstance(shape, bytes):
        raise MalformedError(f"{name} has no readable shape")
    variable = Variable(
        name=name,
        dtype=DTYPES.get(dtype, f"type {dtype}"),
        shape=_read_shape(shape, name),
        shard=shard,
        offset=offset,
        size=size,
        checksum=checksum,
        partitioned=7 in found,
    )
    _check_entry(variable, shards)
    return variable


def _integer(found: dict[int, int | bytes], field: int, name: str) -> int:
    value = found.get(field, 0)
    if not isinstance(value, int):
        raise MalformedError(f"field {field} of {name} is no number")
    return value


def _read_shape(message: bytes, name: str) -> tuple[int, ...]:
    sizes = []
    for field, dimension in fields(message):
        if field == 2 and isinstance(dimension, bytes):
            sizes.append(_integer(dict(fields(dimension)), 1, name))
    if len(sizes) > MOST_DIMENSIONS:
        raise MalformedError(f"{name} has {len(sizes)} dimensions")
    return tuple(sizes)


def _check_entry(variable: Variable, shards: int) -> None:
    if variable.shard >= shards:
        raise MalformedError(f"{variable.name} lies in data file {variable.shard} of {shards}")
    dtype = READABLE.get(variable.dtype)
    if dtype is None or variable.partitioned:
        return
    if math.prod(variable.shape) * dtype.itemsize != variable.size:
        raise MalformedError(
            f"{variable.name} of {variable.describe()} is said to take {variable.size} bytes"
        )
