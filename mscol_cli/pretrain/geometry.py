"""Geometry of embeddings: alignment, uniformity and effective rank.

All three are computed from one matrix of inner products, whose size does not depend on `dim`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MAX_PAIRS = 128
"""Maximum number of pairs used, evenly spaced over the batch."""

Gram = NDArray[np.float64]


def geometry(views: Mapping[str, Tensor]) -> dict[str, float]:
    """Alignment and uniformity of the first two views, and effective rank of both together.

    Args:
        views: (batch, dim) embeddings of the global batch, by view.

    Returns:
        Values by name; empty if embeddings are not finite, only `effective_rank` for a single view.
    """
    rows = [_spaced(view) for view in list(views.values())[:2]]
    if not rows:
        return {}
    gram = gram_matrix(torch.cat(rows))
    if not np.isfinite(gram).all():
        return {}
    values = {"effective_rank": effective_rank(gram)}
    cosines, pairs = _cosines(gram), len(rows[0])
    if len(rows) == 2 and pairs > 1:
        anchor, positive = cosines[:pairs, :pairs], cosines[pairs:, pairs:]
        values["alignment"] = alignment(cosines[:pairs, pairs:])
        values["uniformity"] = (uniformity(anchor) + uniformity(positive)) / 2
    return values


def gram_matrix(rows: Tensor) -> Gram:
    """Inner products of rows (rows, dim): (rows, rows) float64 on the host."""
    exact = rows.detach().double()
    product: Gram = (exact @ exact.T).cpu().numpy()
    return product


def alignment(cosines: Gram) -> float:
    """Mean squared distance of an anchor and its positive on the unit sphere, 0 to 4.

    Wang and Isola (arXiv 2005.10242), with alpha 2.

    Args:
        cosines: (pairs, pairs) cosines of anchors and positives.
    """
    return float(np.mean(_squared_distances(np.diagonal(cosines))))


def uniformity(cosines: Gram) -> float:
    """Logarithm of the mean Gaussian potential of two embeddings on the unit sphere: 0 if all are
    equal, lower the more evenly they are spread.

    Wang and Isola (arXiv 2005.10242), with t 2.

    Args:
        cosines: (rows, rows) cosines of embeddings; at least two rows.
    """
    above = cosines[np.triu_indices(len(cosines), 1)]
    return float(np.log(np.mean(np.exp(-2 * _squared_distances(above)))))


def effective_rank(gram: Gram) -> float:
    """Number of directions in which embeddings spread: 1 if all are multiples of one vector.

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
    # Rounding may bring a cosine above 1.
    distances: Gram = np.clip(2 - 2 * cosines, 0, None)
    return distances


def _spaced(rows: Tensor) -> Tensor:
    return rows[:: -(-len(rows) // MAX_PAIRS)]


def _cosines(gram: Gram) -> Gram:
    length = np.sqrt(np.diagonal(gram).clip(1e-30))
    cosines: Gram = gram / np.outer(length, length)
    return cosines
