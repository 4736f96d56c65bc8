"""Files of vectors, in formats other tools read: .npz, .csv, .safetensors."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mscol_cli.errors import UsageError
from mscol_cli.system.files import write_atomically, write_json


@dataclass(frozen=True)
class VectorTable:
    """Embeddings and what they belong to.

    Attributes:
        embeddings: (rows, dim).
        ids: (rows,) name of the clip of each row.
        start_s: (rows,) start of each row's window in its clip, in seconds; None when a row is a
            whole clip.
        model: Name of the model that made them.
        model_hash: SHA-256 of its weights.
    """

    embeddings: NDArray[np.float32]
    ids: tuple[str, ...]
    start_s: NDArray[np.float64] | None = None
    model: str = ""
    model_hash: str = ""


def check_vector_path(path: Path) -> None:
    """Refuse a file that `write_vectors` could not write. Raises UsageError."""
    if path.suffix.lower() not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise UsageError(f"{path} has no format mscol writes: end it in {known}.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it.")


def write_vectors(table: VectorTable, path: Path) -> None:
    """Write a table in the format of the path's suffix; the file appears whole or not at all.

    .npz has the arrays `embeddings`, `ids`, for windows `start_s`, and the strings `model` and
    `model_hash`, of shape (); .csv the columns `id`, for windows `start_s`, and `e0`, `e1`, ..., so
    that all but the id are numbers, and `NAME.csv.json` beside it `model` and `model_hash`;
    .safetensors the tensors `embeddings` and, for windows, `start_s`, and in the metadata `ids`, a
    JSON list, `model` and `model_hash`.

    Raises:
        UsageError: The suffix names no known format.
    """
    check_vector_path(path)
    suffix = path.suffix.lower()
    beside = path.with_name(f"{path.name}.json")
    if suffix == ".csv":
        # Never beside vectors of another model, even where this process is killed in between.
        beside.unlink(missing_ok=True)
    write_atomically(path, lambda temporary: _WRITERS[suffix](table, temporary))
    if suffix == ".csv":
        write_json(beside, _provenance(table))


def _write_npz(table: VectorTable, path: Path) -> None:
    with path.open("wb") as file:  # given a name, numpy would append a suffix to one in capitals
        texts = {"ids": table.ids, **_provenance(table)}
        arrays = {name: np.array(text, dtype=np.str_) for name, text in texts.items()}
        np.savez(file, allow_pickle=False, **arrays, **_arrays(table))


def _write_safetensors(table: VectorTable, path: Path) -> None:
    metadata = {"ids": json.dumps(table.ids), **_provenance(table)}
    save_file(_arrays(table), path, metadata=metadata)


def _write_csv(table: VectorTable, path: Path) -> None:
    # A file name that is no text (surrogates) goes back to the bytes it was.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        starts = [] if table.start_s is None else ["start_s"]
        writer.writerow(["id", *starts, *(f"e{axis}" for axis in range(table.embeddings.shape[1]))])
        writer.writerows(_csv_rows(table))


def _csv_rows(table: VectorTable) -> Iterator[list[str]]:
    for row, (name, vector) in enumerate(zip(table.ids, table.embeddings, strict=True)):
        starts = [] if table.start_s is None else [repr(float(table.start_s[row]))]
        # Nine digits are what tells any two float32 apart.
        yield [name, *starts, *(f"{value:.9g}" for value in vector.tolist())]


def _provenance(table: VectorTable) -> dict[str, str]:
    return {"model": table.model, "model_hash": table.model_hash}


def _arrays(table: VectorTable) -> dict[str, NDArray[np.floating]]:
    arrays: dict[str, NDArray[np.floating]] = {"embeddings": table.embeddings}
    return arrays if table.start_s is None else {**arrays, "start_s": table.start_s}


_WRITERS: dict[str, Callable[[VectorTable, Path], None]] = {
    ".npz": _write_npz,
    ".csv": _write_csv,
    ".safetensors": _write_safetensors,
}
