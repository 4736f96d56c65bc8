"""Appendable `.npy` files, and quantisation of waveforms to int16."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from threading import Lock
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.errors import MscolError
from mscol_cli.store.spool import Samples, blocks
from mscol_cli.system.files import without_links
from mscol_cli.system.json_files import INVALID

_HEADER = 128
_MAGIC = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little")
INT16_PEAK = 32767
"""Stored value of the peak of a waveform."""
_SILENCE = 1e-20


_INVALID = (*INVALID, OSError, EOFError, TokenError, SyntaxError, MemoryError)
"""What numpy raises for a file that is not an array, such as one with another header."""
_ONE_HEADER = Lock()
"""Before Python 3.11.8 and 3.12.2, two threads that parse headers at once can raise a SystemError
(https://github.com/python/cpython/issues/106905)."""


def open_samples(path: Path) -> NDArray[np.int16]:
    """Map a shard to memory, (samples,). Raises MscolError if the file is not one."""
    return _open(path, np.dtype(np.int16), dimensions=1)


def open_levels(path: Path) -> NDArray[np.float32]:
    """Map levels of segments to memory, (segments, sources, 2). Raises MscolError if the file does
    not hold them."""
    return _open(path, np.dtype(np.float32), dimensions=3)


def _open(path: Path, dtype: np.dtype[Any], dimensions: int) -> NDArray[Any]:
    try:
        with _ONE_HEADER:
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype != dtype or array.ndim != dimensions:
            raise ValueError(f"{array.dtype} of shape {array.shape}")
    except _INVALID as error:
        raise MscolError(f"{path}: cannot be read ({error}); separate again") from None
    return array


class GrowingArray:
    """A `.npy` file that rows are appended to; its header has room for any length."""

    def __init__(self, path: Path, dtype: type, row: Sequence[int] = (), rows: int = 0) -> None:
        """Open for appending after `rows` rows; later rows are cut off.

        Args:
            path: The file; created if missing.
            dtype: Data type of the values.
            row: Shape of one row; empty for a one-dimensional array.
            rows: Number of rows to keep.

        Raises:
            MscolError: The file has fewer rows.
        """
        self.rows = rows
        self._dtype: np.dtype[Any] = np.dtype(dtype).newbyteorder("<")
        self._row = tuple(row)
        self._file = open(path, "r+b" if path.exists() else "w+b", opener=without_links)  # noqa: SIM115
        end = self._offset(rows)
        if rows and self._file.seek(0, os.SEEK_END) < end:
            self._file.close()
            raise MscolError(f"{path}: shorter than its index says; separate again with -o")
        self._file.truncate(end)
        self._write_header(0)
        self._file.seek(end)

    def append(self, values: NDArray[Any]) -> int:
        """Append values, (rows, *row), and return the index of the first; `sync` flushes them."""
        first = self.rows
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)
        self.rows += len(values)
        return first

    def sync(self) -> None:
        """Flush appended rows to disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Write the length into the header and close, so that `numpy.load` can open the file."""
        self._write_header(self.rows)
        self.sync()
        self._file.close()

    def close(self) -> None:
        """Close without a length; a later process appends to the file."""
        self._file.close()

    def _offset(self, rows: int) -> int:
        return _HEADER + rows * int(self._dtype.itemsize) * prod(self._row)

    def _write_header(self, rows: int) -> None:
        shape = (rows, *self._row)
        text = f"{{'descr': '{self._dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
        self._file.seek(0)
        self._file.write(_MAGIC + text.ljust(_HEADER - 11).encode("ascii") + b"\n")


@dataclass(frozen=True)
class Extent:
    """Peak and norm of a waveform.

    Attributes:
        peak: Maximum |x|; not finite if a sample is not.
        norm: L2 norm, summed in double precision.
    """

    peak: float
    norm: float

    @property
    def gain(self) -> float:
        """Factor from the int16 of `quantise` to the waveform; zero if no |x| exceeds 1e-20."""
        return 0.0 if self.peak < _SILENCE else self.peak / INT16_PEAK


def extent(waveform: Samples) -> Extent:
    """Measure a waveform, (samples,), block by block."""
    peak, square = 0.0, 0.0
    for block in blocks(waveform):
        peak = float(np.fmax(peak, max(block.max(), -block.min())))
        square += float(np.einsum("i,i->", block, block, dtype=np.float64))
        if not np.isfinite(square):
            return Extent(square, square)
    return Extent(peak, float(np.sqrt(square)))


def quantise(waveform: Samples, peak: float) -> Iterator[NDArray[np.int16]]:
    """Quantise a waveform, (samples,), to int16 blocks, (block,).

    Args:
        waveform: The waveform.
        peak: Its maximum |x|; 1e-20 or less yields zeros.
    """
    scale = np.float32(0.0 if peak < _SILENCE else INT16_PEAK / peak)
    for block in blocks(waveform):
        yield np.rint(block * scale).astype(np.int16)
