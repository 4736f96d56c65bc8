"""Embeddings of audio files, computed once for each model and version of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from weakref import finalize

import numpy as np
import torch
from numpy.typing import NDArray

from mscol_cli.audio import Corruption, load_corrupted
from mscol_cli.cache.folder import in_use, lock_for_use, vectors_folder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.embedding import Decode, embed_files
from mscol_cli.engine.models import Model
from mscol_cli.engine.vector_header import vector_header
from mscol_cli.engine.waveforms import load_waveform
from mscol_cli.errors import BadInputError, MscolError
from mscol_cli.probe.mapped import MAX_BYTES, MappedWindows
from mscol_cli.probe.windows import Windows
from mscol_cli.vectors import FileVersion, VectorEntry, VectorFolder, VectorWriter

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a list of files.

    Attributes:
        windows: (windows, dim) float32, concatenated over files; on disk if they are too large for
            memory.
        counts: (files,) int64 windows per file, 0 for a file that could not be embedded.
        failures: Reason of each failure, by row of the file.
    """

    windows: Windows
    counts: NDArray[np.int64]
    failures: Mapping[int, str]


@contextmanager
def open_cache(model: Model, corruption: Corruption | None = None) -> Iterator[VectorFolder]:
    """Context manager of a model's cached embeddings, which are not pruned meanwhile.

    Corrupted files have a separate folder.
    """
    header = vector_header(model, corruption=corruption.name if corruption else None)
    path = vectors_folder() / header.key
    with in_use(path):
        yield VectorFolder(path, header)


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

    Raises:
        MscolError: Embeddings that were written to the cache cannot be read again.
    """
    files = [FileVersion.of(path) for path in paths]
    entries = _find_intact(folder, files)
    missing = [row for row, entry in enumerate(entries) if entry is None]
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
                cache.add(row, files[row], result.windows)
            progress.advance()
    folder.refresh()
    for row, file in cache.stored.items():
        entries[row] = _reread(folder, file)
    windows, counts = _joined(folder, entries, cache.unstored)
    return Embedded(windows, counts, failures)


def _find_intact(
    folder: VectorFolder, files: Sequence[FileVersion | None]
) -> list[VectorEntry | None]:
    """Cached vectors of files; None if they are missing or damaged, or of another version."""
    entries = [None if file is None else folder.find(file.path) for file in files]
    found = [
        entry if entry is not None and entry.version == file and entry.failure is None else None
        for entry, file in zip(entries, files, strict=True)
    ]
    damaged = folder.damaged([entry for entry in found if entry is not None])
    return [None if entry is None or entry.id in damaged else entry for entry in found]


def _reread(folder: VectorFolder, file: FileVersion) -> VectorEntry:
    entry = folder.find(file.path)
    if entry is None or not folder.holds(entry):
        raise MscolError(
            f"{folder.path} lost embeddings that were written to it: set MSCOL_CACHE to a folder on"
            " a local disk."
        )
    return entry


class _Cache:
    """A folder of vectors; after a failed write, nothing more is written.

    Attributes:
        stored: Files whose vectors are in the folder, by row.
        unstored: Vectors that are not, by row.
    """

    def __init__(self, folder: VectorFolder, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self._writer: VectorWriter | None = None
        self._works = True
        self._waiting: dict[int, FileVersion] = {}
        self.stored: dict[int, FileVersion] = {}
        self.unstored: dict[int, FloatArray] = {}

    def add(self, row: int, file: FileVersion | None, windows: FloatArray) -> None:
        # Vectors are kept until they are on disk.
        self.unstored[row] = windows
        if file is not None and self._works:
            with self._or_warning():
                if self._writer is None:
                    self._writer = VectorWriter(self._folder)
                self._writer.add(file.path, file, windows)
                self._waiting[row] = file
                if self._writer.flush(only_if_due=True):
                    self._flushed()

    def __enter__(self) -> _Cache:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            with self._or_warning():
                self._writer.close()
                if self._works:
                    self._flushed()

    def _flushed(self) -> None:
        for row in self._waiting:
            del self.unstored[row]
        self.stored |= self._waiting
        self._waiting.clear()

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


def _joined(
    folder: VectorFolder,
    entries: Sequence[VectorEntry | None],
    unstored: Mapping[int, FloatArray],
) -> tuple[Windows, NDArray[np.int64]]:
    """Windows of all files, and the number of windows of each."""
    shards = sorted({entry.shard for entry in entries if entry is not None})
    empty = np.zeros((0, folder.header.dim), np.float32)
    # Last, the windows that are only in memory.
    sources = [*map(folder.mapped, shards), np.concatenate([empty, *unstored.values()])]
    starts = np.cumsum([0, *map(len, sources)])
    start_of = dict(zip(shards, starts.tolist(), strict=False))
    firsts, counts = np.zeros((2, len(entries)), np.int64)
    for row, entry in enumerate(entries):
        if entry is not None:
            firsts[row], counts[row] = start_of[entry.shard] + entry.row, entry.rows
    first = int(starts[-2])
    for row, windows in unstored.items():
        firsts[row], counts[row] = first, len(windows)
        first += len(windows)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    mapped = MappedWindows(sources, np.repeat(firsts, counts) + within)
    if mapped.nbytes <= MAX_BYTES:
        return mapped.load(), counts
    if (lock := lock_for_use(folder.path)) is not None:
        finalize(mapped, lock.release)
    return mapped, counts
