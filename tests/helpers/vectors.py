"""Reading files of vectors with the libraries that their users have."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from safetensors import safe_open

FORMATS = (".npz", ".csv", ".safetensors", ".parquet")


@dataclass(frozen=True)
class Table:
    """What a file of vectors has: (rows, dim), the id of each row, and for windows their starts."""

    embeddings: NDArray[np.floating[Any]]
    ids: tuple[str, ...]
    start_s: NDArray[np.float64] | None = None


def read_table(path: Path) -> Table:
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as file:
            starts = file.get("start_s")
            return Table(file["embeddings"], tuple(file["ids"].tolist()), starts)
    if path.suffix == ".safetensors":
        with safe_open(path, framework="numpy") as file:
            starts = file.get_tensor("start_s") if "start_s" in file.keys() else None  # noqa: SIM118
            ids = tuple(json.loads(file.metadata()["ids"]))
            return Table(file.get_tensor("embeddings"), ids, starts)
    return read_csv(path) if path.suffix == ".csv" else read_parquet(path)


def read_parquet(path: Path) -> Table:
    table = parquet.read_table(path)
    starts = table["start_s"].to_numpy() if "start_s" in table.column_names else None
    vectors = np.stack(table["embedding"].to_numpy())
    return Table(vectors, tuple(table["id"].to_pylist()), starts)


def read_csv(path: Path) -> Table:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        header, *rows = list(csv.reader(file))
    first = header.index("e0")
    assert header[first:] == [f"e{axis}" for axis in range(len(header) - first)]
    starts = np.array([float(row[1]) for row in rows]) if header[1] == "start_s" else None
    vectors = np.array([row[first:] for row in rows], dtype=np.float32)
    return Table(vectors, tuple(row[0] for row in rows), starts)
