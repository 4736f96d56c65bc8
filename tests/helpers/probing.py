"""Made-up embeddings of clips: windows drawn around a centre for each class."""

from __future__ import annotations

import numpy as np
import torch

from mscol_cli.probe.windows import BoolArray, ClipWindows


def one_hot(labels: list[int], classes: int) -> BoolArray:
    """(clips, classes) from one label a clip."""
    return np.eye(classes, dtype=bool)[labels]


def gaussian_clips(
    targets: BoolArray, *, seed: int, dim: int = 8, distance: float = 3.0, offset: float = 0.0
) -> ClipWindows:
    """One to four windows a clip, around the sum of its classes' centres.

    Args:
        targets: (clips, classes).
        seed: Of the noise, which has variance 1; centres are always the same.
        dim: Of the embeddings.
        distance: Of a centre from the origin.
        offset: Added to everything.
    """
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((targets.shape[1], dim))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    counts = rng.integers(1, 5, size=len(targets))
    means = np.repeat(targets.astype(float) @ centres, counts, axis=0)
    windows = means + rng.standard_normal(means.shape) + offset
    return ClipWindows(torch.from_numpy(windows.astype(np.float32)), counts, targets)
