"""How embeddings lie in their space: alignment, uniformity, effective rank.

All three are read off one matrix of inner products, which is small, whatever the embeddings' size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOST_PAIRS = 128
"""Pairs that are looked at, evenly spaced over the batch: a larger batch costs no more."""

Gram = NDArray[np.float64]


def geometry(views: Mapping[str, Tensor]) -> dict[str, float]:
    """Alignment and uniformity of the first two views, and effective rank of both together.

    Args:
        views: By view, (batch, dim) embeddings of the whole batch.

    Returns:
        What can be computed: nothing of embeddings that are no numbers, no alignment of one view.
    """
    rows = [_spaced(view) for view in list(views.values())[:2]]
    if not rows:
        return {}
    gram = gram_matrix(torch.cat(rows))
    if not np.isfinite(gram).all():
        return {}
    found = {"effective_rank": effective_rank(gram)}
    cosines, pairs = _cosines(gram), len(rows[0])
    if len(rows) == 2 and pairs > 1:
        anchor, positive = cosines[:pairs, :pairs], cosines[pairs:, pairs:]
        found["alignment"] = alignment(cosines[:pairs, pairs:])
        found["uniformity"] = (uniformity(anchor) + uniformity(positive)) / 2
    return found


def gram_matrix(rows: Tensor) -> Gram:
    """Inner products of (rows, dim) with each other, (rows, rows), on the host."""
    exact = rows.detach().double()
    product: Gram = (exact @ exact.T).cpu().numpy()
    return product


def alignment(cosines: Gram) -> float:
    """Mean squared distance of an anchor and its positive on the unit sphere, 0 to 4.

    Wang and Isola (arXiv 2005.10242), with alpha 2.

    Args:
        cosines: (pairs, pairs) of every anchor with every positive.
    """
    return float(np.mean(_squared_distances(np.diagonal(cosines))))


def uniformity(cosines: Gram) -> float:
    """Logarithm of the mean Gaussian potential of two embeddings on the unit sphere: 0 when all
    are one, lower the more evenly they are spread.

    Wang and Isola (arXiv 2005.10242), with t 2.

    Args:
        cosines: (rows, rows) of embeddings with each other; at least two rows.
    """
    above = cosines[np.triu_indices(len(cosines), 1)]
    return float(np.log(np.mean(np.exp(-2 * _squared_distances(above)))))


def effective_rank(gram: Gram) -> float:
    """In how many directions embeddings spread: 1 when all are multiples of one vector.

    Roy and Vetterli (EUSIPCO 2007): the exponential of the entropy of the singular values, scaled
    to sum to 1. The embeddings are neither centred nor normalised.

    Args:
        gram: (rows, rows) inner products.
    """
    singular = np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0, None))
    if not singular.any():
        return 1.0
    share = singular[singular > 0] / singular.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def _squared_distances(cosines: Gram) -> Gram:
    """On the unit sphere; rounding may bring a cosine above 1."""
    distances: Gram = np.clip(2 - 2 * cosines, 0, None)
    return distances


def _spaced(rows: Tensor) -> Tensor:
    return rows[:: -(-len(rows) // MOST_PAIRS)]


def _cosines(gram: Gram) -> Gram:
    length = np.sqrt(np.diagonal(gram).clip(1e-30))
    cosines: Gram = gram / np.outer(length, length)
    return cosines
