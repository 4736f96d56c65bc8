"""Entries of an index: protocol buffer messages about the checkpoint and its variables.

The entry with the empty key describes the checkpoint. Every other entry describes a variable: its
dtype, shape, and the location of its bytes.
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
MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class Variable:
    """A variable in the index.

    Attributes:
        name: Key of the variable.
        dtype: `float32`, `int64`, ...; `type N` if unknown.
        shape: Shape of the variable.
        shard: Number of its data file.
        offset: First byte in that file.
        size: Number of bytes.
        checksum: Masked CRC-32C of the bytes.
        partitioned: Whether its values are split into other entries.
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
    """Read the number of data files of a checkpoint.

    Args:
        message: Value of the empty key; None if it is missing.

    Raises:
        ForeignError: The table is not a checkpoint, or is big-endian.
        MalformedError: The message is damaged.
    """
    if message is None:
        raise ForeignError("is a table, but not the index of a TensorFlow checkpoint")
    header = dict(fields(message))
    if header.get(2, LITTLE_ENDIAN) != LITTLE_ENDIAN:
        raise ForeignError(
            "was written on a big-endian machine; only little-endian ones are supported"
        )
    shards = header.get(1, 0)
    if not isinstance(shards, int) or not 1 <= shards < 100_000:
        raise MalformedError(f"it announces {shards!r} data files")
    return shards


def read_entry(key: bytes, message: bytes, shards: int) -> Variable:
    """Read the entry of a variable.

    Raises:
        MalformedError: The entry is damaged or inconsistent.
    """
    values: dict[int, int | bytes] = dict(fields(message))
    name = key.decode("utf-8", "backslashreplace")
    dtype, shard, offset, size, checksum = (
        _integer(values, field, name) for field in (1, 3, 4, 5, 6)
    )
    shape = values.get(2, b"")
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
        partitioned=7 in values,
    )
    _check_entry(variable, shards)
    return variable


def _integer(values: dict[int, int | bytes], field: int, name: str) -> int:
    value = values.get(field, 0)
    if not isinstance(value, int):
        raise MalformedError(f"field {field} of {name} is not a number")
    return value


def _read_shape(message: bytes, name: str) -> tuple[int, ...]:
    sizes = []
    for field, dimension in fields(message):
        if field == 2 and isinstance(dimension, bytes):
            sizes.append(_integer(dict(fields(dimension)), 1, name))
    if len(sizes) > MAX_DIMENSIONS:
        raise MalformedError(f"{name} has {len(sizes)} dimensions")
    return tuple(sizes)


def _check_entry(variable: Variable, shards: int) -> None:
    if variable.shard >= shards:
        raise MalformedError(f"{variable.name} is in data file {variable.shard} of {shards}")
    dtype = READABLE.get(variable.dtype)
    if dtype is None or variable.partitioned:
        return
    if math.prod(variable.shape) * dtype.itemsize != variable.size:
        raise MalformedError(
            f"{variable.name} is {variable.describe()}, but has {variable.size} bytes"
        )
