"""Where the windows of a whole clip start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.store.segments import SEGMENT, segment_starts

Cut = Callable[[Encoder, int], NDArray[np.int64]]
"""From an encoder and the length of a clip, in samples, to the first samples of its windows."""


def whole_windows(encoder: Encoder, samples: int) -> NDArray[np.int64]:
    """Every whole window of a clip; they overlap only by what `crop_samples` exceeds
    `window_hop`, and the last partial one is dropped."""
    count = max(0, 1 + (samples - encoder.crop_samples) // encoder.window_hop)
    return np.arange(count, dtype=np.int64) * encoder.window_hop


def random_crops(rng: np.random.Generator, last_offset: bool = True) -> Cut:
    """One crop per segment of about four seconds, at a random offset within it, as the published
    probes are trained on. A clip that has one segment is cut anywhere.

    Args:
        rng: Draws the offsets, clip after clip.
        last_offset: Whether a crop may end where its segment ends.
    """

    def cut(encoder: Encoder, samples: int) -> NDArray[np.int64]:
        starts = segment_starts(samples)
        if samples < encoder.crop_samples:
            return starts[:0]
        length = samples if len(starts) <= 1 else SEGMENT
        offsets = max(0, length - encoder.crop_samples) // encoder.start_grid + last_offset
        drawn: NDArray[np.int64] = rng.integers(0, max(offsets, 1), len(starts))
        return starts + drawn * encoder.start_grid

    return cut
