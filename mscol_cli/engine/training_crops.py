"""Shuffled batches of crops of labelled files, decoded anew each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.ahead import map_ahead
from mscol_cli.audio import load_mono
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.cuts import random_crops
from mscol_cli.engine.embedding import DECODERS, at_level

BATCHES_SHUFFLED = 16


def crop_batches(
    encoder: Encoder, paths: Sequence[Path], batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One random crop per segment of every file, once, in a random order.

    Files come in a random order, and crops are mixed with those of the files around them: as many
    as fill sixteen batches, so that memory does not grow with the data set.

    Yields:
        Crops (batch, samples) at the encoder's level, and the rows (batch,) of their files.

    Raises:
        BadInputError: A file cannot be decoded.
    """
    waiting: list[tuple[Tensor, int]] = []
    for found in _crops(encoder, paths, rng):
        waiting.append(found)
        if len(waiting) >= BATCHES_SHUFFLED * batch_size:
            drawn = _draw(waiting, len(waiting) // 2, rng)
            yield from _batches(drawn, batch_size)
    yield from _batches(_draw(waiting, len(waiting), rng), batch_size)


def _crops(
    encoder: Encoder, paths: Sequence[Path], rng: np.random.Generator
) -> Iterator[tuple[Tensor, int]]:
    order = rng.permutation(len(paths)).tolist()
    cut = random_crops(rng)

    def load(row: int) -> tuple[int, NDArray[np.float32]]:
        return row, load_mono(paths[row], encoder.sample_rate)

    for row, decoded in map_ahead(load, order, DECODERS):
        waveform = torch.from_numpy(at_level(decoded, encoder.level))
        for start in cut(encoder, len(waveform)).tolist():
            # A copy, which does not keep the whole file in memory.
            yield waveform[start : start + encoder.crop_samples].clone(), row


def _draw(
    waiting: list[tuple[Tensor, int]], count: int, rng: np.random.Generator
) -> list[tuple[Tensor, int]]:
    """Take some out, in a random order."""
    order = rng.permutation(len(waiting))
    taken = [waiting[place] for place in order[:count].tolist()]
    waiting[:] = [waiting[place] for place in sorted(order[count:].tolist())]
    return taken


def _batches(
    crops: Sequence[tuple[Tensor, int]], batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(crops), batch_size):
        waveforms, rows = zip(*crops[start : start + batch_size], strict=True)
        yield torch.stack(waveforms), torch.tensor(rows)
