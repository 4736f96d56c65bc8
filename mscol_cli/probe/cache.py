"""Embeddings computed once: one file per model, framing and list of clips."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mscol_cli.audio import Corruption, load_corrupted
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.embedding import ClipEmbedding, Decode, embed_files
from mscol_cli.engine.models import Model
from mscol_cli.engine.waveforms import load_waveform
from mscol_cli.errors import BadInputError
from mscol_cli.system.files import write_atomically

LAYOUT = "mscol-embeddings 1"


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a list of files.

    Attributes:
        windows: (windows, dim) float32, file after file.
        counts: (files,) int64 windows of each file, 0 for one that could not be embedded.
        failures: Why, by row of the file.
    """

    windows: Tensor
    counts: NDArray[np.int64]
    failures: Mapping[int, str]


def cache_folder() -> Path:
    """`$MSCOL_CACHE/embeddings`, or `~/.cache/mscol/embeddings`."""
    root = os.environ.get("MSCOL_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "mscol") / "embeddings"


def embedding_key(model_hash: str, framing: Sequence[int | str], paths: Sequence[Path]) -> str:
    """Names embeddings by all that determines them.

    Args:
        model_hash: Of the encoder's weights.
        framing: Sample rate, window and hop, in Hz and samples, and the level of the clips.
        paths: Audio files, in order; a file counts by its path, size and time of change.
    """
    digest = hashlib.sha256(f"{LAYOUT}\n{model_hash}\n{list(framing)}\n".encode())
    for path in paths:
        digest.update(f"{_identity(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def cache_path(key: str) -> Path:
    """Where the embeddings of that key are kept."""
    return cache_folder() / f"{key}.safetensors"


def read_embeddings(path: Path, files: int) -> Embedded | None:
    """Read a cache file of so many files; None when it is not there, or is damaged in any way."""
    try:
        with safe_open(path, framework="pt") as file:
            windows, counts = file.get_tensor("windows"), file.get_tensor("counts").numpy()
            metadata = file.metadata() or {}
        failures = {int(row): str(why) for row, why in json.loads(metadata["failures"]).items()}
        intact = metadata["checksum"] == _checksum(windows, counts)
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError):
        return None
    return Embedded(windows, counts, failures) if intact and len(counts) == files else None


def with_retried(cached: Embedded, retried: Embedded) -> Embedded:
    """Put the new results of the files that had failed, in their order, in place of the old."""
    failed = list(cached.failures)
    counts = cached.counts.copy()
    counts[failed] = retried.counts
    parts = list(torch.split(cached.windows, cached.counts.tolist()))
    for row, windows in zip(
        failed, torch.split(retried.windows, retried.counts.tolist()), strict=True
    ):
        parts[row] = windows
    failures = {failed[row]: reason for row, reason in retried.failures.items()}
    return Embedded(torch.cat(parts), counts, failures)


def write_embeddings(path: Path, embedded: Embedded) -> None:
    """Write a cache file, whole or not at all. Raises OSError."""
    counts = np.ascontiguousarray(embedded.counts)
    metadata = {
        "failures": json.dumps(dict(embedded.failures)),
        "checksum": _checksum(embedded.windows, counts),
    }
    tensors = {"windows": embedded.windows.contiguous(), "counts": torch.from_numpy(counts)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def _identity(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return f"{path.absolute()} absent"
    return f"{path.absolute()} {status.st_size} {status.st_mtime_ns}"


def _checksum(windows: Tensor, counts: NDArray[np.int64]) -> str:
    value = zlib.crc32(np.ascontiguousarray(counts).data)
    return f"{zlib.crc32(windows.contiguous().numpy().data, value):08x}"


def embed_cached(
    model: Model,
    paths: Sequence[Path],
    device: torch.device,
    progress: Progress,
    deformation: Corruption | None = None,
) -> Embedded:
    """Embeddings of audio files, computed unless the same model has embedded the same files.

    Files that failed before are tried again: what was wrong may have been a disk, a permission or
    a missing decoder. Deformed files have a cache of their own. A cache that cannot be written
    costs a warning. Progress advances by one for each file.
    """
    encoder = model.encoder
    framing = (encoder.sample_rate, encoder.crop_samples, encoder.window_hop, encoder.level)
    damage = (deformation.name,) if deformation else ()
    path = cache_path(embedding_key(model.hash, (*framing, *damage), paths))
    cached = read_embeddings(path, len(paths))
    rows = list(range(len(paths))) if cached is None else list(cached.failures)
    progress.advance(len(paths) - len(rows))
    decode: Decode = partial(load_waveform, warn=progress.warn)
    if deformation is not None:
        decode = partial(load_corrupted, deformation=deformation, warn=progress.warn)
    wanted = [paths[row] for row in rows]
    results = embed_files(encoder, wanted, device=device, decode=decode)
    embedded = _collect(results, encoder.dim, progress)
    if cached is not None:
        embedded = with_retried(cached, embedded)
        if embedded.failures == cached.failures:
            return cached
    try:
        write_embeddings(path, embedded)
    except OSError as error:
        progress.warn(f"embeddings could not be kept in {path.parent} ({error.strerror}).")
    return embedded


def _collect(
    results: Iterator[ClipEmbedding | BadInputError], dim: int, progress: Progress
) -> Embedded:
    parts = [np.zeros((0, dim), dtype=np.float32)]
    counts, failures = [], {}
    for row, result in enumerate(results):
        if isinstance(result, BadInputError):
            failures[row] = str(result)
            counts.append(0)
        else:
            parts.append(result.windows)
            counts.append(len(result.windows))
        progress.advance()
    windows = torch.from_numpy(np.concatenate(parts))
    return Embedded(windows, np.array(counts, dtype=np.int64), failures)
