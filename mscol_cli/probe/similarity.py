"""Vectors of clips whose inner products are similarities: cosines, or what an objective learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mscol_cli.contracts.objective import Objective
from mscol_cli.engine.models import Model, load_objective
from mscol_cli.errors import UsageError
from mscol_cli.host import load_registry
from mscol_cli.host.guard import label_of, plugin_call
from mscol_cli.probe.windows import FloatArray

Vectors = tuple[FloatArray, FloatArray]
"""Vector (dim,) of a clip as a query and as a candidate."""
ClipVectors = Callable[[NDArray[np.float32]], Vectors]
"""From embeddings of windows, (windows, dim), to the vectors of their clip."""


def clip_vectors(similarity: Literal["cosine", "learned"], model: Model) -> ClipVectors:
    """The function that makes the vectors of a clip.

    Raises:
        UsageError: `learned`, and the model has no objective with a similarity.
    """
    if similarity == "cosine":
        return cosine_vectors
    objective = load_objective(model, load_registry())
    return lambda windows: learned_vectors(objective, windows, model.device)


def cosine_vectors(windows: NDArray[np.float32]) -> Vectors:
    """The mean of the windows, of length 1."""
    mean = windows.mean(axis=0, dtype=np.float64)
    vector = mean / max(float(np.linalg.norm(mean)), np.finfo(np.float64).tiny)
    return vector, vector


def learned_vectors(
    objective: Objective, windows: NDArray[np.float32], device: torch.device
) -> Vectors:
    """Means over the windows: an inner product is the mean similarity of all pairs of windows."""
    label = label_of(objective)
    try:
        with plugin_call(label, allowed=(NotImplementedError,)), torch.inference_mode():
            pair = objective.similarity_vectors(torch.from_numpy(windows).to(device))
    except NotImplementedError:
        raise UsageError(
            f"{label} has no similarity that can be used here: use --opt similarity=cosine."
        ) from None
    query, candidate = (rows.double().mean(dim=0).cpu().numpy() for rows in pair)
    return query, candidate
