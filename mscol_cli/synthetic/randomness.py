"""Independent random streams, one per named part of a song or note."""

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Rng = np.random.Generator
Choice = TypeVar("Choice")


def stream(*keys: int | str) -> Rng:
    """Generator that depends only on the keys, so that parts can be rendered in any order.

    Args:
        keys: non-negative integers or names, e.g. ``(seed, "song", 12, "drums")``.
    """
    return np.random.default_rng(
        [zlib.crc32(k.encode()) if isinstance(k, str) else k for k in keys]
    )


def pick(rng: Rng, options: Sequence[Choice]) -> Choice:
    """Draw one of the options, uniformly."""
    return options[int(rng.integers(len(options)))]


def pick_weighted(rng: Rng, weights: Mapping[Choice, float]) -> Choice:
    """Draw one of the keys, with probability proportional to its weight."""
    options = list(weights)
    share = np.asarray([weights[option] for option in options], dtype=np.float64)
    return options[int(rng.choice(len(options), p=share / share.sum()))]


def jitter(rng: Rng, value: float, octaves: float) -> float:
    """Multiply a value by a log-uniform factor between ``2 ** -octaves`` and ``2 ** octaves``."""
    return float(value * 2.0 ** rng.uniform(-octaves, octaves))
