"""Chunks that go through the separator together, as many as memory allows."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mscol_cli.contracts.separator import Separator
from mscol_cli.errors import BadInputError, PluginError
from mscol_cli.separation.reading import Chunk

Outcome = Mapping[str, Tensor] | BadInputError


class Batcher:
    """Runs a separator on batches, and makes them smaller where the device is full.

    Attributes:
        limit: Most samples in time of a batch, summed over its chunks.
    """

    def __init__(self, separator: Separator) -> None:
        self.limit = separator.batch_samples
        self._separator = separator

    def fits(self, batch: Sequence[Chunk], chunk: Chunk) -> bool:
        """Whether a batch can take one more chunk; an empty one always can."""
        return not batch or sum(held.samples for held in batch) + chunk.samples <= self.limit

    def run(self, batch: Sequence[Chunk]) -> list[Outcome]:
        """Separate chunks; each comes out as its waveforms or as what is wrong with it.

        A batch that the device has no room for, or that holds a chunk the separator refuses, is
        tried again in halves, so that no other chunk is lost with it.
        """
        failure = None
        try:
            outcomes: list[Outcome] = list(
                self._separator.separate_many([chunk.audio for chunk in batch])
            )
        except torch.OutOfMemoryError:
            failure = self._without_room(batch)
        except BadInputError as error:
            failure = error
        if failure is None:
            return self._checked(outcomes, batch)
        if len(batch) == 1:
            return [failure]
        half = len(batch) // 2
        return [*self.run(batch[:half]), *self.run(batch[half:])]

    def _without_room(self, batch: Sequence[Chunk]) -> BadInputError:
        self.limit = min(self.limit, sum(chunk.samples for chunk in batch) // 2)
        gc.collect()  # what the failed attempt held
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        seconds = batch[0].samples / batch[0].sample_rate
        return BadInputError(
            f"{seconds:.0f} s of it do not fit into the memory of the device: free some, or use"
            " --device cpu"
        )

    def _checked(self, outcomes: list[Outcome], batch: Sequence[Chunk]) -> list[Outcome]:
        if len(outcomes) != len(batch):
            raise PluginError(
                f"the separator returned {len(outcomes)} results for {len(batch)} chunks."
            )
        return outcomes
