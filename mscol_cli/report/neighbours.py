"""Section of nearest neighbours, with audio, of a few segments of a run's store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from mscol_cli.audio.resample import resample_array
from mscol_cli.contracts.plans import MIXTURE, StoreIndex
from mscol_cli.contracts.progress import Progress
from mscol_cli.embed.inputs import track_hash
from mscol_cli.engine.models import Model, load_model
from mscol_cli.errors import MscolError
from mscol_cli.host import load_registry
from mscol_cli.pages.page import Block, Excerpt, Neighbours, Section, Text
from mscol_cli.probe.cache import CacheClip, embed_cached_clips, open_cache
from mscol_cli.report.material import FoundRun, Material
from mscol_cli.runs.tracks import chosen_tracks
from mscol_cli.store import SAMPLE_RATE, Store
from mscol_cli.store.header import TRACKS
from mscol_cli.store.records import newest, read_tracks
from mscol_cli.system.files import absolute_path
from mscol_cli.vectors import FileVersion

NEIGHBOURS = 3
MAX_BYTES = 8_000_000
"""Audio in one page, before Base64 encoding, which adds a third."""


class Sounds:
    """Excerpts of stores as FLAC, up to `MAX_BYTES` in all."""

    def __init__(self, audio: bool) -> None:
        self._room = MAX_BYTES if audio else 0
        self._count = 0

    def excerpt(self, store: Store, segment: int) -> Excerpt:
        """Encode the mixture of a segment, at full scale."""
        index = store.index
        track, start = int(index.segment_track[segment]), int(index.segment_start[segment])
        samples = int(index.segment_samples[segment])
        label = f"{index.track_ids[track]}, from {start / SAMPLE_RATE:.1f} s"
        self._count += 1
        waveform = store.stored(track)[start : start + samples]
        return Excerpt(label, f"excerpt-{self._count:03d}", self._flac(np.asarray(waveform)))

    def _flac(self, samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> bytes | None:
        if self._room <= 0:
            return None
        content = io.BytesIO()
        soundfile.write(content, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        flac = content.getvalue()
        self._room -= len(flac)
        return flac if self._room >= 0 else None


@dataclass(frozen=True)
class Nearest:
    """A segment and its nearest neighbours, as rows of the store's index.

    Attributes:
        query: The segment.
        segments: Neighbours from other tracks, nearest first.
        similarities: Cosine similarity of each neighbour to the query.
    """

    query: int
    segments: tuple[int, ...]
    similarities: tuple[float, ...]


def neighbours_section(
    material: Material, queries: int, audio: bool, device: torch.device, progress: Progress
) -> Section:
    """Create a section with the nearest neighbours of a few segments, for each run with a store.

    Args:
        material: Runs of the report.
        queries: Segments per run; 0 for no section.
        audio: Whether excerpts have audio.
        device: Device of the encoders.
        progress: Receives notes and warnings.
    """
    sounds = Sounds(audio)
    blocks: list[Block] = []
    for run in material.runs if queries else ():
        try:
            blocks += _of_run(run, queries, sounds, device, progress)
        except MscolError as error:
            progress.warn(f"no neighbours of {run.label}: {error}")
    intro = Text(
        "The three nearest segments from other tracks, by the run's encoder, for segments of its"
        " training tracks, with the cosine similarity. Each track is represented by its loudest"
        " four-second segment; of a large store, 400 tracks are used. Excerpts are mixtures at"
        " 16 kHz, each at full scale."
    )
    return Section("Nearest neighbours", [intro, *blocks] if blocks else ())


def _of_run(
    run: FoundRun, queries: int, sounds: Sounds, device: torch.device, progress: Progress
) -> list[Block]:
    if run.store is None or run.saved_step is None:
        return []
    store = Store.open(Path(run.store["path"]))
    if store.hash != run.store["hash"]:
        raise MscolError(f"{store.path} has changed since the run was trained on it")
    store = chosen_tracks(run.folder, store)
    progress.note(f"nearest neighbours of {run.label}")
    model = load_model(run.folder, load_registry(), device)
    nearest = nearest_tracks(store, model, queries=queries, progress=progress)
    return list(_blocks(run, store, nearest, sounds))


def _blocks(run: FoundRun, store: Store, nearest: list[Nearest], sounds: Sounds) -> Iterator[Block]:
    if nearest:
        yield Text(f"By {run.label}, after {run.saved_step:,} updates:")
    for match in nearest:
        query = sounds.excerpt(store, match.query)
        near = [sounds.excerpt(store, segment) for segment in match.segments]
        yield Neighbours(query, list(zip(near, match.similarities, strict=True)))


def nearest_tracks(
    store: Store,
    model: Model,
    *,
    queries: int,
    max_tracks: int = 400,
    progress: Progress,
) -> list[Nearest]:
    """Find the nearest tracks, by the loudest segment of each.

    The vectors of the segments are in the cache of embeddings, as those of probed clips.

    Args:
        store: The store.
        model: The model.
        queries: Number of tracks to find neighbours of, evenly spaced.
        max_tracks: Number of tracks to compare; of a larger store, evenly spaced ones.
        progress: Receives warnings and the progress.
    """
    encoder = model.encoder
    window = -(-encoder.crop_samples * SAMPLE_RATE // encoder.sample_rate)
    segments = _evenly(_loudest(store.index, window), max_tracks)
    segments, vectors = _embed(store, model, segments, progress)
    if len(segments) < 2:
        return []
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = []
    for row in _evenly(np.arange(len(segments)), queries):
        order = np.argsort(-similarity[row], kind="stable")[: min(NEIGHBOURS, len(segments) - 1)]
        near = tuple(segments[order].tolist())
        nearest.append(Nearest(int(segments[row]), near, tuple(similarity[row][order].tolist())))
    return nearest


def _loudest(index: StoreIndex, samples: int) -> NDArray[np.int64]:
    """The loudest segment of each track, of those with at least one window."""
    long_enough = np.flatnonzero(index.segment_samples >= samples)
    track, level = index.segment_track[long_enough], index.segment_level[long_enough, 0]
    order = np.lexsort((-level, track))
    _, first = np.unique(track[order], return_index=True)
    chosen: NDArray[np.int64] = long_enough[order[first]]
    return chosen


def _evenly(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if len(rows) <= count:
        return rows
    return rows[np.arange(count) * len(rows) // count]


def _embed(
    store: Store, model: Model, segments: NDArray[np.int64], progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The segments that can be embedded, and their vectors: (segments, dim) unit vectors, the
    normalised mean over the windows of each."""
    clips = _clips(store, segments)
    progress.begin("embedding", len(clips), "segments")
    with open_cache(model) as cache:
        embedded = embed_cached_clips(cache, model, clips, progress)
    progress.end()
    for reason in embedded.failures.values():
        progress.warn(f"skipped {reason}")
    kept = np.flatnonzero(embedded.counts)
    windows = embedded.windows[0 : len(embedded.windows)].numpy()
    sums = np.zeros((len(kept), model.encoder.dim), dtype=np.float32)
    np.add.at(sums, np.repeat(np.arange(len(kept)), embedded.counts[kept]), windows)
    unit: NDArray[np.float32] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return segments[kept], unit


def _clips(store: Store, segments: NDArray[np.int64]) -> list[CacheClip]:
    records, index = newest(read_tracks(store.path / TRACKS)), store.index
    path = str(absolute_path(store.path))
    clips = []
    for segment in segments.tolist():
        track, start = int(index.segment_track[segment]), int(index.segment_start[segment])
        name = f"{path}: track {index.track_ids[track]}, from sample {start}"
        samples = int(index.segment_samples[segment])
        digest = track_hash(store, records[index.track_ids[track]], MIXTURE)
        read = partial(_read, store, track, start, samples)
        clips.append(CacheClip(name, name, read, FileVersion(path, 2 * samples, 0), digest))
    return clips


def _read(
    store: Store, track: int, start: int, samples: int, sample_rate: int, _on_short: object
) -> NDArray[np.float32]:
    """The mixture of a segment at a sample rate in Hz."""
    waveform = store.waveform(track)[start : start + samples]
    return resample_array(waveform, SAMPLE_RATE, sample_rate)
