"""Files of vectors: .npz, .csv and .safetensors."""

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
    """Embeddings with their clips and model.

    Attributes:
        embeddings: (rows, dim).
        ids: (rows,) name of the clip of each row.
        start_s: (rows,) start of each row's window in its clip, in seconds; None if each row is a
            complete clip.
        model: Name of the model.
        model_hash: SHA-256 of its weights.
    """

    embeddings: NDArray[np.float32]
    ids: tuple[str, ...]
    start_s: NDArray[np.float64] | None = None
    model: str = ""
    model_hash: str = ""


def check_vector_path(path: Path) -> None:
    """Raise UsageError for a path that `write_vectors` cannot write to."""
    if path.suffix.lower() not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise UsageError(f"{path} has an unknown format: use the suffix {known}.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it.")


def write_vectors(table: VectorTable, path: Path) -> None:
    """Write a table atomically, in the format of the suffix.

    * .npz: arrays `embeddings`, `ids`, for windows `start_s`, and the strings `model` and
      `model_hash` of shape ().
    * .csv: columns `id`, for windows `start_s`, and `e0`, `e1`, ...; `NAME.csv.json` beside it has
      `model` and `model_hash`.
    * .safetensors: tensors `embeddings` and, for windows, `start_s`; metadata `ids` (a JSON list),
      `model` and `model_hash`.

    Raises:
        UsageError: The suffix is unknown.
    """
    check_vector_path(path)
    suffix = path.suffix.lower()
    beside = path.with_name(f"{path.name}.json")
    if suffix == ".csv":
        # Never beside vectors of another model, even if this process is killed in between.
        beside.unlink(missing_ok=True)
    write_atomically(path, lambda temporary: _WRITERS[suffix](table, temporary))
    if suffix == ".csv":
        write_json(beside, _provenance(table))


def _write_npz(table: VectorTable, path: Path) -> None:
    with path.open("wb") as file:  # numpy would append a suffix to a path that ends in .NPZ
        texts = {"ids": table.ids, **_provenance(table)}
        arrays = {name: np.array(text, dtype=np.str_) for name, text in texts.items()}
        np.savez(file, allow_pickle=False, **arrays, **_arrays(table))


def _write_safetensors(table: VectorTable, path: Path) -> None:
    metadata = {"ids": json.dumps(table.ids), **_provenance(table)}
    save_file(_arrays(table), path, metadata=metadata)


def _write_csv(table: VectorTable, path: Path) -> None:
    # File names that are not UTF-8 (surrogates) are written as their original bytes.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        starts = [] if table.start_s is None else ["start_s"]
        writer.writerow(["id", *starts, *(f"e{axis}" for axis in range(table.embeddings.shape[1]))])
        writer.writerows(_csv_rows(table))


def _csv_rows(table: VectorTable) -> Iterator[list[str]]:
    for row, (name, vector) in enumerate(zip(table.ids, table.embeddings, strict=True)):
        starts = [] if table.start_s is None else [repr(float(table.start_s[row]))]
        # Nine digits distinguish any two float32 values.
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
