"""Independent random streams, one for every named part of a song or note."""

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Rng = np.random.Generator
Choice = TypeVar("Choice")


def stream(*keys: int | str) -> Rng:
    """Generator that depends on the keys alone, so parts can be rendered in any order.

    Args:
        keys: non-negative integers or names, e.g. ``(seed, "song", 12, "drums")``.
    """
    return np.random.default_rng(
        [zlib.crc32(k.encode()) if isinstance(k, str) else k for k in keys]
    )


def pick(rng: Rng, options: Sequence[Choice]) -> Choice:
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


def pick_weighted(rng: Rng, weights: Mapping[Choice, float]) -> Choice:
    """One of the keys, with probability proportional to its weight."""
    options = list(weights)
    share = np.asarray([weights[option] for option in options], dtype=np.float64)
    return options[int(rng.choice(len(options), p=share / share.sum()))]


def jitter(rng: Rng, value: float, octaves: float) -> float:
    """The value times a log-uniform factor of at most ``2 ** octaves`` either way."""
    return float(value * 2.0 ** rng.uniform(-octaves, octaves))
