"""Embeddings of many files, from the cache when they are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mscol_cli.audio import Deformation, load_deformed, load_mono
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.embedding import ClipEmbedding, embed_files
from mscol_cli.engine.models import Model
from mscol_cli.errors import BadInputError
from mscol_cli.probing.cache import (
    Embedded,
    cache_path,
    embedding_key,
    read_embeddings,
    write_embeddings,
)


def embed_cached(
    model: Model,
    paths: Sequence[Path],
    device: torch.device,
    progress: Progress,
    deformation: Deformation | None = None,
) -> Embedded:
    """Embeddings of audio files, computed unless the same model has embedded the same files.

    Deformed files have a cache of their own. A cache that cannot be written costs a warning.
    Progress advances by one for each file.
    """
    encoder = model.encoder
    framing = (encoder.sample_rate, encoder.crop_samples, encoder.window_hop, encoder.level)
    damage = (deformation.name,) if deformation else ()
    path = cache_path(embedding_key(model.hash, (*framing, *damage), paths))
    cached = read_embeddings(path)
    if cached is not None and len(cached.counts) == len(paths):
        progress.advance(len(paths))
        return cached
    decode = partial(load_mono, warn=progress.warn)
    if deformation is not None:
        decode = partial(load_deformed, deformation=deformation, warn=progress.warn)
    results = embed_files(encoder, paths, device=device, decode=decode)
    embedded = _collect(results, encoder.dim, progress)
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
