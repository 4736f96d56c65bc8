"""Positions and clusters of clips, the same in every run if the process has one thread."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mscol_cli.similar.search import FloatArray, unit

TSNE, PCA = "t-SNE", "PCA"
MAX_TSNE = 20_000
"""Maximum number of clips for t-SNE, which takes some minutes for so many."""
MIN_TSNE = 8
COMPONENTS = 50
"""Principal components that t-SNE and clusters are computed from."""
PERPLEXITY = 30.0
CHUNK = 4096


def reduce_vectors(vectors: FloatArray) -> FloatArray:
    """(clips, at most 50) principal components of the unit vectors (clips, dim), largest first."""
    dim = vectors.shape[1]
    total, products = np.zeros(dim), np.zeros((dim, dim))
    for part in _unit_chunks(vectors):
        total += part.sum(axis=0)
        products += part.T @ part
    mean = total / len(vectors)
    _, axes = np.linalg.eigh(products - len(vectors) * np.outer(mean, mean))
    axes = axes[:, ::-1][:, : min(COMPONENTS, dim)]
    # The sign of an axis is arbitrary: its largest weight is positive.
    largest = np.abs(axes).argmax(axis=0)
    axes *= np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    return np.concatenate([((part - mean) @ axes) for part in _unit_chunks(vectors)]).astype(
        np.float32
    )


def choose_method(clips: int) -> str:
    """t-SNE, or PCA for very few or very many clips."""
    return TSNE if MIN_TSNE <= clips <= MAX_TSNE else PCA


def lay_out(components: FloatArray, method: str) -> FloatArray:
    """Positions (clips, 2) from principal components (clips, components)."""
    positions = np.zeros((len(components), 2), dtype=np.float32)
    plane = components[:, :2]
    positions[:, : plane.shape[1]] = plane
    if method == PCA or np.ptp(plane[:, 0]) == 0:
        return positions
    return _tsne(components)


def cluster(components: FloatArray, count: int) -> NDArray[np.int64]:
    """(clips,) number of the k-means cluster of each clip, the largest cluster first."""
    from sklearn.cluster import KMeans

    count = min(count, len(np.unique(components, axis=0)))
    labels = KMeans(count, n_init=4, random_state=0).fit_predict(components)
    order = np.argsort(-np.bincount(labels, minlength=count), kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    clusters: NDArray[np.int64] = rank[labels]
    return clusters


def _tsne(components: FloatArray) -> FloatArray:
    from sklearn import manifold

    perplexity = min(PERPLEXITY, (len(components) - 1) / 3)
    tsne = manifold.TSNE(2, init="pca", random_state=0, perplexity=perplexity)
    positions: FloatArray = tsne.fit_transform(components)
    return positions


def _unit_chunks(vectors: FloatArray) -> Iterable[NDArray[np.float64]]:
    for row in range(0, len(vectors), CHUNK):
        yield unit(vectors[row : row + CHUNK]).astype(np.float64)
