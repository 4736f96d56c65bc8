"""Which tracks of a store lie nearest to each other, to an encoder's ear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.plans import Crops, StoreIndex
from mscol_cli.engine.embedding import windows_per_pass
from mscol_cli.engine.encoding import encode
from mscol_cli.store import Store


@dataclass(frozen=True)
class Nearest:
    """A segment, and the nearest ones of other tracks; all are rows of the store's index.

    Attributes:
        query: The segment.
        segments: Its neighbours, nearest first.
        similarities: Cosine of the angle between each and the query.
    """

    query: int
    segments: tuple[int, ...]
    similarities: tuple[float, ...]


def nearest_tracks(
    store: Store,
    encoder: Encoder,
    *,
    queries: int,
    neighbours: int = 3,
    most: int = 400,
    device: torch.device,
) -> list[Nearest]:
    """Compare tracks by the loudest segment of each.

    Args:
        store: Of the encoder's sample rate.
        encoder: On `device`, in eval mode.
        queries: Tracks to find neighbours of, evenly spaced.
        neighbours: Others to name for each.
        most: Tracks to choose from; of a larger store that many, evenly spaced.
        device: Where the encoder is.
    """
    segments = _evenly(_loudest(store.index, encoder.crop_samples), most)
    if len(segments) < 2:
        return []
    vectors = _embed(store, encoder, segments, device)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    found = []
    for row in _evenly(np.arange(len(segments)), queries):
        order = np.argsort(-similarity[row], kind="stable")[: min(neighbours, len(segments) - 1)]
        near = tuple(segments[order].tolist())
        found.append(Nearest(int(segments[row]), near, tuple(similarity[row][order].tolist())))
    return found


def _loudest(index: StoreIndex, samples: int) -> NDArray[np.int64]:
    """The segment of each track whose mixture is loudest, of those that hold a window."""
    long_enough = np.flatnonzero(index.segment_samples >= samples)
    track, level = index.segment_track[long_enough], index.segment_level[long_enough, 0]
    order = np.lexsort((-level, track))
    _, first = np.unique(track[order], return_index=True)
    chosen: NDArray[np.int64] = long_enough[order[first]]
    return chosen


def _evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    return rows[np.arange(most) * len(rows) // most]


def _embed(
    store: Store, encoder: Encoder, segments: NDArray[np.int64], device: torch.device
) -> NDArray[np.float32]:
    """(segments, dim) unit vectors: the mean over the windows of each segment."""
    index, samples = store.index, encoder.crop_samples
    counts = index.segment_samples[segments] // samples
    within = np.concatenate([np.arange(count) for count in counts]) * samples
    starts = np.repeat(index.segment_start[segments], counts) + within
    tracks = np.repeat(index.segment_track[segments], counts)
    crops = Crops(tracks, np.zeros_like(tracks), starts)
    most = windows_per_pass(device)
    parts = [
        _windows(store, encoder, crops.rows(slice(row, row + most)), device)
        for row in range(0, len(tracks), most)
    ]
    owner = np.repeat(np.arange(len(segments)), counts)
    sums = np.zeros((len(segments), encoder.dim), dtype=np.float32)
    np.add.at(sums, owner, np.concatenate(parts))
    unit: NDArray[np.float32] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return unit


def _windows(
    store: Store, encoder: Encoder, crops: Crops, device: torch.device
) -> NDArray[np.float32]:
    stored, factors = store.gather(crops, encoder.crop_samples, encoder.level)
    waveforms = torch.from_numpy(stored * factors[:, None].astype(np.float32)).to(device)
    with torch.inference_mode():
        vectors: NDArray[np.float32] = encode(encoder, waveforms).float().cpu().numpy()
    return vectors
