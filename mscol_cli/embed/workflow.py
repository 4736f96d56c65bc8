"""embed: model -> audio or store -> windows -> encoder -> file of vectors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mscol_cli.audio import AudioListing, clash, find_audio
from mscol_cli.audio.mono import PIECE, resampled_pieces
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.embed.vectors import VectorTable, check_vector_path, write_vectors
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.embedding import Clip, ClipEmbedding, embed_clips, embed_files
from mscol_cli.engine.models import Model, resolve_model
from mscol_cli.engine.waveforms import load_waveform, read_or_measure
from mscol_cli.errors import BadInputError
from mscol_cli.host import load_registry
from mscol_cli.store import SAMPLE_RATE, Store
from mscol_cli.store.header import HEADER
from mscol_cli.system.files import is_regular
from mscol_cli.system.outcomes import Failures, nothing_usable, writing

DEFAULT_OUTPUT = Path("embeddings.npz")
Named = tuple[str, ClipEmbedding | BadInputError]


@dataclass(frozen=True)
class EmbedRequest:
    """Settings of `mscol embed`.

    Attributes:
        inputs: Audio files, folders to search, sealed stores.
        model: A model reference, as in `engine.models.resolve_model`; None for the default.
        encoder: The encoder of `untrained`.
        output: Output file; its suffix is the format: .npz, .csv or .safetensors.
        windows: Write one vector per window instead of the mean per clip.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    inputs: tuple[Path, ...]
    model: str | None = None
    encoder: str | None = None
    output: Path = DEFAULT_OUTPUT
    windows: bool = False
    device: str = "auto"


@dataclass(frozen=True)
class EmbedResult:
    """Result of `mscol embed`.

    Attributes:
        output: The file.
        model: Name of the model.
        model_hash: SHA-256 of its weights.
        clips: Number of clips in the file.
        windows: Number of embedded windows, also if the file has one row per clip.
        dim: Size of a vector.
        failures: Inputs that could not be used, with the reason.
        seconds: Elapsed time.
    """

    output: Path
    model: str
    model_hash: str
    clips: int
    windows: int
    dim: int
    failures: Failures = field(default_factory=list)
    seconds: float = 0.0


def run(request: EmbedRequest, progress: Progress) -> EmbedResult:
    """Embed every input and write one file of vectors.

    Raises:
        UsageError: The format of the output is unknown, or two clips have the same name.
        MissingDataError: The model or an input does not exist, or the inputs hold no audio.
        BadInputError: No input could be used; nothing is written.
        MscolError: The output cannot be written.
    """
    begun = time.monotonic()
    check_vector_path(request.output)
    sources = _find(request.inputs)
    device = pick_device(request.device)
    model = resolve_model(request.model, request.encoder, load_registry(), device)
    progress.note(model.describe())
    progress.begin("embedding", len(sources.names), "clips")
    results = zip(sources.names, sources.embed(model.encoder, device, progress), strict=True)
    embedded = _collect(results, request.windows, progress)
    progress.end()
    for name, reason in sources.unlisted:
        progress.warn(f"skipped {reason}")
        embedded.failures.append((name, reason))
    if not embedded.clips:
        raise nothing_usable(embedded.failures, len(sources.names) + len(sources.unlisted))
    with writing(request.output):
        write_vectors(_table(embedded.clips, request.windows, model), request.output)
    return EmbedResult(
        output=request.output,
        model=model.name,
        model_hash=model.hash,
        clips=len(embedded.clips),
        windows=embedded.windows,
        dim=model.encoder.dim,
        failures=embedded.failures,
        seconds=time.monotonic() - begun,
    )


@dataclass(frozen=True)
class _Sources:
    """Sources of clips: files, then the mixtures of stores; `names` covers both in this order.
    `unlisted` are folders that could not be listed, with the reason."""

    names: Sequence[str]
    files: Sequence[Path]
    stores: Sequence[Store]
    unlisted: Failures

    def embed(
        self, encoder: Encoder, device: torch.device, progress: Progress
    ) -> Iterator[ClipEmbedding | BadInputError]:
        decode = partial(load_waveform, warn=progress.warn)
        yield from embed_files(encoder, self.files, device=device, decode=decode)
        for store in self.stores:
            yield from embed_clips(encoder, _mixtures(store, encoder.sample_rate), device=device)


@dataclass
class _Embedded:
    """Results so far: clips by name, number of windows, and failures."""

    clips: dict[str, ClipEmbedding] = field(default_factory=dict)
    windows: int = 0
    failures: Failures = field(default_factory=list)


def _find(inputs: Sequence[Path]) -> _Sources:
    stores = [Store.open(path) for path in inputs if is_regular(path / HEADER)]
    others = [path for path in inputs if not is_regular(path / HEADER)]
    listing = find_audio(others) if others or not stores else AudioListing()
    clips = [(file.name, file.path) for file in listing.files]
    clips += [(track, store.path) for store in stores for track in store.index.track_ids]
    _check_unique(clips)
    paths = [file.path for file in listing.files]
    return _Sources([name for name, _ in clips], paths, stores, list(listing.failures))


def _check_unique(clips: Sequence[tuple[str, Path]]) -> None:
    seen: dict[str, Path] = {}
    for name, origin in clips:
        if name in seen:
            raise clash(name, seen[name], origin)
        seen[name] = origin


def _mixtures(store: Store, sample_rate: int) -> Iterator[Clip]:
    for row, track in enumerate(store.index.track_ids):
        pieces = partial(_mixture_pieces, store, row, sample_rate)
        yield Clip(f"{store.path}: track {track}", read_or_measure(pieces))


def _mixture_pieces(store: Store, row: int, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    return resampled_pieces(store.pieces(row, 0, PIECE), SAMPLE_RATE, sample_rate)


def _collect(results: Iterator[Named], windows: bool, progress: Progress) -> _Embedded:
    embedded = _Embedded()
    for name, result in results:
        if isinstance(result, BadInputError):
            progress.warn(f"skipped {result}")
            embedded.failures.append((name, str(result)))
        else:
            embedded.windows += len(result.windows)
            embedded.clips[name] = result if windows else _mean(result)
        progress.advance(failed=str(len(embedded.failures)))
    return embedded


def _mean(clip: ClipEmbedding) -> ClipEmbedding:
    return ClipEmbedding(clip.windows.mean(axis=0, keepdims=True), clip.start_s[:1])


def _table(clips: Mapping[str, ClipEmbedding], windows: bool, model: Model) -> VectorTable:
    return VectorTable(
        np.concatenate([clip.windows for clip in clips.values()]),
        tuple(name for name, clip in clips.items() for _ in clip.windows),
        np.concatenate([clip.start_s for clip in clips.values()]) if windows else None,
        model=model.name,
        model_hash=model.hash,
    )
