"""Exporting a folder of vectors to one file: .npz, .csv, .safetensors or .parquet.

Vectors are read and written in blocks, so memory does not grow with their number.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.errors import UsageError
from mscol_cli.system.files import escaped, write_atomically, write_json
from mscol_cli.system.text import csv_cell
from mscol_cli.vectors.folder import VectorFolder
from mscol_cli.vectors.records import VectorEntry

_BLOCK_ROWS = 4096
_SAFETENSORS_TYPES = {"<f4": "F32", "<f2": "F16", "<f8": "F64"}
_SAFETENSORS_HEADER = 100_000_000
"""Maximum size of a header that safetensors reads."""


@dataclass(frozen=True)
class _Block:
    """Some rows of the export.

    Attributes:
        ids: (rows,) name of the file of each row.
        start_s: (rows,) start of its window in seconds.
        vectors: (rows, dim) in the precision of the folder.
    """

    ids: Sequence[str]
    start_s: NDArray[np.float64]
    vectors: NDArray[np.floating[Any]]


class _Export:
    """What is exported: the files with vectors, in the order of their ids."""

    def __init__(self, folder: VectorFolder) -> None:
        self.folder, self.header = folder, folder.header
        self.entries = [entry for entry in folder.entries if entry.rows]
        self.rows = sum(entry.rows for entry in self.entries)
        self.has_windows = folder.header.pool == "none"
        self.provenance = {"model": self.header.model, "model_hash": self.header.model_hash}

    def ids(self) -> Iterator[str]:
        """The id of each row."""
        return (entry.id for entry in self.entries for _ in range(entry.rows))

    def blocks(self) -> Iterator[_Block]:
        """Read the rows in order. Raises MscolError if they are damaged."""
        group: list[VectorEntry] = []
        rows = 0
        for entry in self.entries:
            group.append(entry)
            rows += entry.rows
            if rows >= _BLOCK_ROWS:
                yield self._read(group)
                group, rows = [], 0
        if group:
            yield self._read(group)

    def starts(self) -> Iterator[NDArray[np.float64]]:
        """The start of each row in seconds, file by file."""
        return map(self.folder.start_s, self.entries)

    def _read(self, group: Sequence[VectorEntry]) -> _Block:
        vectors = np.concatenate([self.folder.read(entry) for entry in group])
        return _Block(
            [entry.id for entry in group for _ in range(entry.rows)],
            np.concatenate([self.folder.start_s(entry) for entry in group]),
            vectors.astype(self.header.dtype),
        )


def check_export_path(path: Path) -> None:
    """Raise UsageError for a path that `export_vectors` cannot write to."""
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise UsageError(
            f"{path} has an unknown format: use the suffix {', '.join(SUFFIXES)}, or a name without"
            " a suffix for a folder of vectors."
        )
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it.")
    if suffix == ".parquet":
        _pyarrow()


def export_vectors(folder: VectorFolder, path: Path) -> int:
    """Write the vectors of a folder to one file, atomically, in the format of the suffix.

    Rows are in the order of the ids, windows in that of time.

    * .npz: arrays `embeddings`, `ids`, for windows `start_s`, and the strings `model` and
      `model_hash` of shape ().
    * .csv: columns `id`, for windows `start_s`, and `e0`, `e1`, ...; `NAME.csv.json` beside it has
      `model` and `model_hash`.
    * .safetensors: tensors `embeddings` and, for windows, `start_s`; metadata `ids` (a JSON list),
      `model` and `model_hash`.
    * .parquet: columns `id`, for windows `start_s`, and `embedding`, a list of fixed size; `model`
      and `model_hash` in the metadata of the file.

    Returns:
        Number of rows.

    Raises:
        UsageError: The suffix is unknown, or needs a package that is not installed.
        MscolError: The vectors are damaged.
        OSError: The file cannot be written.
    """
    check_export_path(path)
    suffix, export = path.suffix.lower(), _Export(folder)
    beside = path.with_name(f"{path.name}.json")

    def write(temporary: Path) -> None:
        _WRITERS[suffix](export, temporary)
        if suffix == ".csv":
            # Never beside vectors of another model, even if this process is killed in between.
            beside.unlink(missing_ok=True)

    with folder.keeping_open():
        write_atomically(path, write)
    if suffix == ".csv":
        write_json(beside, export.provenance)
    return export.rows


def _write_npz(export: _Export, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, text in export.provenance.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), mode="w") as file:
                np.lib.format.write_array(file, np.array(text, np.str_), allow_pickle=False)
        _write_ids(export, archive)
        if export.has_windows:
            with _array(archive, "start_s", "<f8", (export.rows,)) as file:
                file.writelines(starts.astype("<f8").tobytes() for starts in export.starts())
        dtype, shape = export.header.dtype.str, (export.rows, export.header.dim)
        with _array(archive, "embeddings", dtype, shape) as file:
            file.writelines(block.vectors.tobytes() for block in export.blocks())


def _write_ids(export: _Export, archive: zipfile.ZipFile) -> None:
    dtype = np.dtype(f"<U{max((len(entry.id) for entry in export.entries), default=1)}")
    names = export.ids()
    with _array(archive, "ids", dtype.str, (export.rows,)) as file:
        while block := list(islice(names, _BLOCK_ROWS)):
            file.write(np.array(block, dtype).tobytes())


def _array(archive: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int, ...]) -> IO[bytes]:
    """Begin an array in an archive; its bytes follow."""
    file = archive.open(zipfile.ZipInfo(f"{name}.npy"), mode="w", force_zip64=True)
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file


def _write_safetensors(export: _Export, path: Path) -> None:
    # Wider types first, so that all tensors are aligned.
    tensors = {"start_s": ("<f8", [export.rows])} if export.has_windows else {}
    tensors["embeddings"] = (export.header.dtype.str, [export.rows, export.header.dim])
    header: dict[str, Any] = {
        "__metadata__": {"ids": json.dumps(list(export.ids())), **export.provenance}
    }
    end = 0
    for name, (dtype, shape) in tensors.items():
        first, end = end, end + int(np.prod(shape)) * np.dtype(dtype).itemsize
        known = {"dtype": _SAFETENSORS_TYPES[dtype], "shape": shape}
        header[name] = {**known, "data_offsets": [first, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _SAFETENSORS_HEADER:
        raise UsageError(
            f"the ids of {export.rows} rows do not fit into a .safetensors file: use .npz or"
            " .parquet."
        )
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if export.has_windows:
            file.writelines(starts.astype("<f8").tobytes() for starts in export.starts())
        file.writelines(block.vectors.tobytes() for block in export.blocks())


def _write_csv(export: _Export, path: Path) -> None:
    # File names that are not UTF-8 (surrogates) are written as their original bytes.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        starts = ["start_s"] if export.has_windows else []
        writer.writerow(["id", *starts, *(f"e{axis}" for axis in range(export.header.dim))])
        for block in export.blocks():
            writer.writerows(_csv_rows(block, export.has_windows))


def _csv_rows(block: _Block, has_windows: bool) -> Iterator[list[str]]:
    for name, start, vector in zip(block.ids, block.start_s, block.vectors, strict=True):
        starts = [repr(float(start))] if has_windows else []
        # Nine digits distinguish any two float32 values.
        yield [csv_cell(name), *starts, *(f"{value:.9g}" for value in vector.tolist())]


def _write_parquet(export: _Export, path: Path) -> None:
    pyarrow, parquet = _pyarrow()
    kind = pyarrow.from_numpy_dtype(export.header.dtype)
    fields = [("start_s", pyarrow.float64())] if export.has_windows else []
    fields = [
        ("id", pyarrow.string()),
        *fields,
        ("embedding", pyarrow.list_(kind, export.header.dim)),
    ]
    schema = pyarrow.schema(fields, metadata=export.provenance)
    with parquet.ParquetWriter(path, schema) as writer:
        for block in export.blocks():
            values = pyarrow.array(block.vectors.reshape(-1), kind)
            columns = [pyarrow.array(map(escaped, block.ids), pyarrow.string())]
            columns += [pyarrow.array(block.start_s)] if export.has_windows else []
            columns += [pyarrow.FixedSizeListArray.from_arrays(values, export.header.dim)]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            ".parquet needs pyarrow: install the extra with pip install 'mscol[parquet]'."
        ) from None
    return pyarrow, parquet


_WRITERS: dict[str, Callable[[_Export, Path], None]] = {
    ".npz": _write_npz,
    ".csv": _write_csv,
    ".safetensors": _write_safetensors,
    ".parquet": _write_parquet,
}
SUFFIXES = tuple(_WRITERS)
