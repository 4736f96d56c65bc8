"""separate --check-chunking: compare separation in cross-faded chunks with the unchunked result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import log10

import torch
from torch import Tensor

from mscol_cli.audio import find_audio
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Chunking, Separator, TrackInput
from mscol_cli.errors import BadInputError, UsageError
from mscol_cli.host.checks.separator import find_tracks, validate_separated
from mscol_cli.host.guard import guarded, label_of
from mscol_cli.separate.batching import ALLOWED, Batcher
from mscol_cli.separate.chunks import Chunk, CrossFade, read_chunks
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.separator import build_separator


@dataclass(frozen=True)
class ChunkingResult:
    """Result of the comparison.

    Attributes:
        track: Track id.
        seconds: Duration of the track.
        chunks: Number of chunks.
        chunk_seconds: Duration of a chunk.
        overlap_seconds: Overlap of adjacent chunks.
        snr_db: By source, the energy ratio of the unchunked estimate to the difference; None if the
            source is silent or the estimates are identical.
        seconds_whole: Processing time without chunks.
        seconds_chunked: Processing time in chunks.
    """

    track: str
    seconds: float
    chunks: int
    chunk_seconds: float
    overlap_seconds: float
    snr_db: dict[str, float | None] = field(default_factory=dict)
    seconds_whole: float = 0.0
    seconds_chunked: float = 0.0


def run(request: SeparateRequest, progress: Progress) -> ChunkingResult:
    """Separate one track with and without chunks, and compare every source.

    Raises:
        UsageError: The inputs are not exactly one track, the track fits into one chunk, or the
            separator does not use chunks.
        MissingDataError: The file or the weights do not exist.
        BadInputError: The file cannot be used.
    """
    separator, _ = build_separator(request, progress)
    track, chunking = _only_track(request, separator), separator.chunking
    if chunking is None:
        raise UsageError("this separator does not use chunks: there is nothing to check.")
    whole = next(read_chunks(track, separator.sample_rate, chunking=None))
    rate = whole.sample_rate
    if whole.samples <= chunking.samples:
        raise UsageError(
            f"{track.id} lasts {whole.samples / rate:.1f} s, which fits into one chunk of"
            f" {chunking.samples / rate:.1f} s: name a longer file."
        )
    begun = time.perf_counter()
    separate = guarded(separator, separator.separate, f"track '{track.id}'", ALLOWED)
    unchunked = separate(whole.audio)
    validate_separated(unchunked, separator.sources, whole.samples, label_of(separator))
    middle = time.perf_counter()
    count, noise = _difference(track, separator, chunking, unchunked)
    return ChunkingResult(
        track=track.id,
        seconds=round(whole.samples / rate, 3),
        chunks=count,
        chunk_seconds=round(chunking.samples / rate, 3),
        overlap_seconds=round(chunking.overlap / rate, 3),
        snr_db={name: _snr_db(unchunked[name], noise[name]) for name in separator.sources},
        seconds_whole=round(middle - begun, 2),
        seconds_chunked=round(time.perf_counter() - middle, 2),
    )


def _only_track(request: SeparateRequest, separator: Separator) -> TrackInput:
    tracks = find_tracks(separator, find_audio(request.inputs).files)
    if len(tracks) != 1:
        raise UsageError(f"--check-chunking takes one track, not {len(tracks)}: name one file.")
    return tracks[0]


def _difference(
    track: TrackInput, separator: Separator, chunking: Chunking, unchunked: Mapping[str, Tensor]
) -> tuple[int, dict[str, float]]:
    """Number of chunks, and energy of the difference by source."""
    fades = {name: CrossFade(chunking.overlap) for name in separator.sources}
    noise = dict.fromkeys(fades, 0.0)
    count = done = 0
    for chunk, separated in _separated_chunks(track, separator):
        joined = {name: fade.push(separated[name], chunk.last) for name, fade in fades.items()}
        length = next(iter(joined.values())).shape[-1]
        for name, waveform in joined.items():
            noise[name] += _energy(waveform - unchunked[name][:, done : done + length])
        done, count = done + length, count + 1
    return count, noise


def _separated_chunks(
    track: TrackInput, separator: Separator
) -> Iterator[tuple[Chunk, Mapping[str, Tensor]]]:
    batcher, batch = Batcher(separator), list[Chunk]()
    for chunk in read_chunks(track, separator.sample_rate, separator.chunking):
        if not batcher.fits(batch, chunk):
            yield from _run(batcher, batch)
            batch = []
        batch.append(chunk)
    yield from _run(batcher, batch)


def _run(batcher: Batcher, batch: list[Chunk]) -> Iterator[tuple[Chunk, Mapping[str, Tensor]]]:
    for chunk, outcome in zip(batch, batcher.run(batch), strict=True):
        if isinstance(outcome, BadInputError):
            raise outcome
        yield chunk, outcome


def _energy(waveform: Tensor) -> float:
    return float(waveform.to(torch.float64).square().sum())


def _snr_db(waveform: Tensor, noise: float) -> float | None:
    signal = _energy(waveform)
    return round(10.0 * log10(signal / noise), 2) if signal and noise else None
