"""Embeddings of audio files, computed once for each model and version of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.audio import Corruption, load_corrupted
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.embedding import Decode, embed_files
from mscol_cli.engine.models import Model
from mscol_cli.engine.vector_header import vector_header
from mscol_cli.engine.waveforms import load_waveform
from mscol_cli.errors import BadInputError, MscolError
from mscol_cli.vectors import FileVersion, VectorFolder, VectorWriter

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a list of files.

    Attributes:
        windows: (windows, dim) float32, concatenated over files.
        counts: (files,) int64 windows per file, 0 for a file that could not be embedded.
        failures: Reason of each failure, by row of the file.
    """

    windows: Tensor
    counts: NDArray[np.int64]
    failures: Mapping[int, str]


def cache_folder() -> Path:
    """Return `$MSCOL_CACHE/vectors`, or `~/.cache/mscol/vectors`."""
    root = os.environ.get("MSCOL_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "mscol") / "vectors"


def open_cache(model: Model, corruption: Corruption | None = None) -> VectorFolder:
    """Read the index of a model's cached embeddings; corrupted files have a separate folder."""
    header = vector_header(model, corruption=corruption.name if corruption else None)
    return VectorFolder(cache_folder() / header.key, header)


def embed_cached(
    folder: VectorFolder,
    model: Model,
    paths: Sequence[Path],
    device: torch.device,
    progress: Progress,
    corruption: Corruption | None = None,
) -> Embedded:
    """Embed audio files, and cache the embeddings.

    Cached embeddings of the same model and file are reused, also those from before an
    interruption. Files that failed are retried: the cause may have been a disk, a permission or a
    missing decoder. If the cache cannot be written, mscol warns and embeds without it. Progress
    advances by one per file.

    Args:
        folder: The cache, from `open_cache` for the same model and corruption.
        model: Model with its encoder on `device`.
        paths: Audio files.
        device: Device of the encoder.
        progress: Receives warnings and the progress.
        corruption: Corruption to apply to each file first.
    """
    files = [FileVersion.of(path) for path in paths]
    parts = [None if file is None else _read(folder, file) for file in files]
    missing = [row for row, part in enumerate(parts) if part is None]
    progress.advance(len(paths) - len(missing))
    decode: Decode = partial(load_waveform, warn=progress.warn)
    if corruption is not None:
        decode = partial(load_corrupted, corruption=corruption, warn=progress.warn)
    failures: dict[int, str] = {}
    wanted = [paths[row] for row in missing]
    with _Cache(folder, progress) as cache:
        results = embed_files(model.encoder, wanted, device=device, decode=decode)
        for row, result in zip(missing, results, strict=True):
            if isinstance(result, BadInputError):
                failures[row] = str(result)
            else:
                parts[row] = result.windows
                cache.add(files[row], result.windows)
            progress.advance()
    return _joined(parts, failures, folder.header.dim)


def _read(folder: VectorFolder, file: FileVersion) -> FloatArray | None:
    """Cached vectors of a file; None if they are missing or damaged."""
    entry = folder.find(file.path)
    if entry is None or entry.version != file or entry.failure is not None:
        return None
    try:
        return folder.read(entry)
    except MscolError:
        return None


class _Cache:
    """A folder of vectors; after a failed write, nothing more is written."""

    def __init__(self, folder: VectorFolder, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self._writer: VectorWriter | None = None
        self._works = True

    def add(self, file: FileVersion | None, windows: FloatArray) -> None:
        if file is not None and self._works:
            with self._or_warning():
                if self._writer is None:
                    self._writer = VectorWriter(self._folder)
                self._writer.add(file.path, file, windows)
                self._writer.flush(only_if_due=True)

    def __enter__(self) -> _Cache:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            with self._or_warning():
                self._writer.close()

    @contextmanager
    def _or_warning(self) -> Iterator[None]:
        try:
            yield
        except (OSError, MscolError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            if self._works:
                folder = self._folder.path.parent
                self._progress.warn(f"embeddings cannot be cached in {folder} ({reason}).")
            self._works = False


def _joined(parts: Sequence[FloatArray | None], failures: Mapping[int, str], dim: int) -> Embedded:
    counts = np.array([0 if part is None else len(part) for part in parts], dtype=np.int64)
    empty = np.zeros((0, dim), dtype=np.float32)
    windows = np.concatenate([empty, *(part for part in parts if part is not None)])
    return Embedded(torch.from_numpy(windows), counts, failures)
