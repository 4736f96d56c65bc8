"""Nearest neighbours: the labels that a clip's neighbours among labelled clips have."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mscol_cli.probing.clips import BoolArray, FloatArray


def neighbour_votes(queries: Tensor, references: Tensor, labels: BoolArray, k: int) -> FloatArray:
    """Votes of the `k` references that are nearest by cosine, each weighted by how near it is.

    Weights hardly differ among near neighbours: they decide where votes are equal.

    Args:
        queries: (queries, dim) embeddings.
        references: (references, dim) embeddings.
        labels: (references, classes).
        k: Neighbours asked; at most all references.

    Returns:
        (queries, classes), from 0 to 1.
    """
    cosines = F.normalize(queries.double()) @ F.normalize(references.double()).T
    nearest = torch.topk(cosines, min(k, len(references)), dim=1)
    weights = (1 + nearest.values.numpy()[:, :, None]) / 2
    votes: FloatArray = np.mean(weights * labels[nearest.indices.numpy()], axis=1)
    return votes
