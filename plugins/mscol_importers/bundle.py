"""TensorFlow's checkpoint: variables in an `.index` file, their values in `.data` files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.api import BadInputError, MissingDataError
from mscol_importers.table import ForeignError, read_table
from mscol_importers.variables import READABLE, Variable, read_entry, read_header
from mscol_importers.wire import MalformedError, masked_crc


@dataclass(frozen=True)
class Bundle:
    """A checkpoint and the content of its index.

    Attributes:
        index: The `.index` file.
        shards: Number of data files.
        variables: Variables by name.
    """

    index: Path
    shards: int
    variables: dict[str, Variable]

    def data_files(self) -> list[Path]:
        """Paths of the data files, which may be missing."""
        return [self._data_file(shard) for shard in range(self.shards)]

    def check_data(self) -> None:
        """Check that all data files exist and are long enough for their variables.

        Raises:
            MissingDataError: A file is missing.
            BadInputError: A file is truncated.
        """
        needed = dict.fromkeys(self.data_files(), 0)
        for variable in self.variables.values():
            path = self._data_file(variable.shard)
            needed[path] = max(needed[path], variable.offset + variable.size)
        for path, size in needed.items():
            if not path.is_file():
                raise MissingDataError(
                    f"{path} is missing: {self.index.name} needs it beside it, copy it there."
                )
            if path.stat().st_size < size:
                raise BadInputError(
                    f"{path} is truncated ({path.stat().st_size:,} of {size:,} bytes): copy it"
                    " again."
                )

    def read(self, name: str) -> NDArray[Any]:
        """Read the values of a variable, of its shape and dtype.

        Raises:
            BadInputError: The dtype is not supported, or the bytes are damaged.
        """
        variable = self.variables[name]
        path = self._data_file(variable.shard)
        if variable.dtype not in READABLE:
            raise BadInputError(
                f"{path}: {name} is {variable.dtype}; only {' and '.join(READABLE)} are supported."
            )
        with path.open("rb") as file:
            file.seek(variable.offset)
            data = file.read(variable.size)
        if masked_crc(data) != variable.checksum:
            raise BadInputError(f"{path} is damaged (checksum of {name} is wrong): copy it again.")
        values: NDArray[Any] = np.frombuffer(data, READABLE[variable.dtype]).copy()
        return np.reshape(values, variable.shape)

    def _data_file(self, shard: int) -> Path:
        stem = self.index.name.removesuffix(".index")
        return self.index.with_name(f"{stem}.data-{shard:05d}-of-{self.shards:05d}")


def open_bundle(index: Path) -> Bundle:
    """Read the index of a checkpoint, but not its data files.

    Raises:
        MissingDataError: The index is missing.
        BadInputError: The file is not an index, is damaged, or is not supported: big-endian,
            compressed, or with partitioned variables.
    """
    try:
        data = index.read_bytes()
    except FileNotFoundError:
        raise MissingDataError(f"{index} is missing: copy it beside its data file.") from None
    try:
        table = read_table(data)
        shards = read_header(table.pop(b"", None))
        variables = [read_entry(key, value, shards) for key, value in table.items()]
    except MalformedError as error:
        raise BadInputError(f"{index} is damaged ({error}): copy it again.") from error
    except ForeignError as error:
        raise BadInputError(f"{index} {error}.") from error
    _refuse_partitioned(index, variables)
    return Bundle(index, shards, {variable.name: variable for variable in variables})


def _refuse_partitioned(index: Path, variables: Iterable[Variable]) -> None:
    names = [variable.name for variable in variables if variable.partitioned]
    if names:
        raise BadInputError(
            f"{index} has partitioned variables, which are not supported: {', '.join(names)}."
        )
