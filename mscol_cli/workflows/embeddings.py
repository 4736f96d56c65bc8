"""Embeddings of many files, from the cache when they are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mscol_cli.audio import Deformation, load_deformed, load_mono
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.embedding import Clip, ClipEmbedding, embed_clips, embed_files
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
    damage = (deformation.name,) if deformation else ()
    decode = partial(load_deformed, deformation=deformation) if deformation else load_mono
    path = cache_path(embedding_key(model.hash, (*_framing(encoder), *damage), paths))
    results = embed_files(encoder, paths, device=device, decode=decode)
    return _cached(path, len(paths), results, encoder.dim, progress)


def embed_waveforms(
    model: Model,
    clips: Iterable[Clip],
    identity: Sequence[str],
    count: int,
    device: torch.device,
    progress: Progress,
) -> Embedded:
    """`embed_cached` for clips that are no files.

    Args:
        clips: At the encoder's sample rate, consumed only where the cache does not have them.
        identity: Names them: the same for the same waveforms, and never for others.
        count: How many there are.
    """
    encoder = model.encoder
    path = cache_path(embedding_key(model.hash, (*_framing(encoder), *identity), ()))
    results = embed_clips(encoder, clips, device=device)
    return _cached(path, count, results, encoder.dim, progress)


def _framing(encoder: Encoder) -> tuple[int | str, ...]:
    return encoder.sample_rate, encoder.crop_samples, encoder.window_hop, encoder.level


def _cached(
    path: Path,
    clips: int,
    results: Iterator[ClipEmbedding | BadInputError],
    dim: int,
    progress: Progress,
) -> Embedded:
    """What the cache has, or the results, which are then computed and kept."""
    cached = read_embeddings(path)
    if cached is not None and len(cached.counts) == clips:
        progress.advance(clips)
        return cached
    embedded = _collect(results, dim, progress)
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
