"""Folders of made-up vectors of files that exist."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mscol_cli.vectors import FileVersion, VectorFolder, VectorHeader, VectorWriter

HEADER = VectorHeader("gone@6", "abc", "small", 16000, 15920, 15680, "unit-rms", dim=3, pool="mean")


def write_vectors(
    path: Path,
    vectors: Mapping[str, ArrayLike],
    music: Path | None = None,
    header: VectorHeader = HEADER,
) -> Path:
    """Write a folder of vectors of the files of these names, (rows, dim) each, below `music`."""
    with VectorWriter(VectorFolder(path, header)) as writer:
        for name, rows in vectors.items():
            file = None if music is None else music / name
            version = (file and FileVersion.of(file)) or FileVersion(f"/music/{name}", 1, 1)
            digest = (
                hashlib.sha256(file.read_bytes()).hexdigest() if file and file.exists() else None
            )
            content = np.atleast_2d(np.asarray(rows, dtype=np.float32))
            writer.add(name, version, content, sha256=digest)
    return path
