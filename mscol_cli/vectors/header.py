"""Header of a folder of vectors: model, windows, pooling and precision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mscol_cli.errors import UsageError
from mscol_cli.system.files import exists, is_regular, write_json
from mscol_cli.system.json_files import parsing, read_json
from mscol_cli.system.locks import Lock
from mscol_cli.system.values import from_json

HEADER, _LOCK = "vectors.json", ".vectors.json.lock"
LAYOUT = "mscol-vectors 2"
POOLS = ("mean", "max", "none")
PRECISIONS = {"float32": ("<f4", ".f32"), "float16": ("<f2", ".f16")}
"""Type and file suffix of a shard, by precision."""
LARGEST_DIM = 1 << 20
"""A larger dimension is taken for damage, as memory is allocated for it."""


@dataclass(frozen=True)
class VectorHeader:
    """Origin and shape of the vectors in a folder.

    Attributes:
        model: Name of the model.
        model_hash: SHA-256 of the encoder weights.
        encoder: Name of the encoder.
        sample_rate: Sample rate in Hz.
        window: Window length in samples.
        hop: Samples from the start of one window to the next; the first starts at 0.
        level: Level that clips are scaled to.
        dim: Dimension of a vector.
        pool: `mean` or `max` over the windows of a file, or `none` for one vector per window.
        precision: `float32` or `float16`.
        source: Source of the stores that was embedded; `mixture` for audio files, too.
        corruption: Name of the corruption applied to clips; None without.
        implementation: Owner, version and options of an encoder of another package, whose vectors
            need not follow from weights and framing alone; empty for those of mscol.
    """

    model: str
    model_hash: str
    encoder: str
    sample_rate: int
    window: int
    hop: int
    level: str
    dim: int
    pool: str = "none"
    precision: str = "float32"
    source: str = "mixture"
    corruption: str | None = None
    implementation: str = ""

    @staticmethod
    def read(folder: Path) -> VectorHeader:
        """Read the header of a folder.

        Raises:
            MissingDataError: The folder is missing, or is not a folder of vectors.
            UsageError: The header is damaged, or that of another version of mscol.
        """
        content = read_json(folder / HEADER, "folder of vectors")
        if content.get("layout") != LAYOUT:
            raise UsageError(
                f"{folder / HEADER} has the layout {content.get('layout')!r}, this version of mscol"
                f" reads {LAYOUT!r}: embed again into another folder."
            )
        with parsing(folder / HEADER, "restore it."):
            header = from_json(VectorHeader, content)
            if header.precision not in PRECISIONS:
                raise ValueError(f"precision is {header.precision!r}")
            if min(header.dim, header.hop, header.window, header.sample_rate) < 1:
                raise ValueError("dim, hop, window or sample_rate is not positive")
            if header.dim > LARGEST_DIM:
                raise ValueError(f"dim is {header.dim}")
        return header

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of the values on disk."""
        return np.dtype(PRECISIONS[self.precision][0])

    @property
    def suffix(self) -> str:
        """Suffix of a shard."""
        return PRECISIONS[self.precision][1]

    @property
    def row_bytes(self) -> int:
        """Size of a vector on disk."""
        return self.dim * self.dtype.itemsize

    @property
    def key(self) -> str:
        """SHA-256 of everything that determines the vectors, hex."""
        text = json.dumps([LAYOUT, self._decisive()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def write_or_check(self, folder: Path) -> None:
        """Write the header of a new folder, or check that of an existing folder.

        Raises:
            UsageError: The folder has vectors of another model or with other settings.
            OSError: The folder cannot be written.
        """
        if not exists(folder / HEADER):
            lock = folder / _LOCK  # NFS cannot lock the folder itself
            with Lock(lock, required=False):
                if not exists(folder / HEADER):
                    write_json(folder / HEADER, {"layout": LAYOUT, **asdict(self)})
                lock.unlink(missing_ok=True)
        self.check(folder)

    def check(self, folder: Path) -> None:
        """Raise UsageError unless the vectors of a folder have this header.

        The name of the model may differ: weights are compared by their hash.
        """
        existing, wanted = VectorHeader.read(folder)._decisive(), self._decisive()
        names = [name for name in wanted if existing[name] != wanted[name]]
        if "model_hash" in names:
            there = VectorHeader.read(folder).model
            raise UsageError(
                f"{folder} contains vectors of another model, {there}, not {self.model}: choose"
                " another folder."
            )
        if names:
            changes = ", ".join(
                f"{name} {_format(name, existing)}, not {_format(name, wanted)}" for name in names
            )
            raise UsageError(
                f"{folder} contains vectors with other settings ({changes}): choose another folder."
            )

    def _decisive(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "model"}


def _format(name: str, fields: Mapping[str, Any]) -> str:
    """A setting in the unit of its option: windows and hops in seconds."""
    if name in ("window", "hop"):
        return f"{fields[name] / fields['sample_rate']:.6g} s"
    return str(fields[name])


def is_vector_folder(path: Path) -> bool:
    """Whether a path is a folder with the header of a folder of vectors."""
    return is_regular(path / HEADER)
