"""Chunks that go through the separator together, as many as memory allows."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mscol_cli.contracts.separator import Separator
from mscol_cli.errors import BadInputError, PluginCallError
from mscol_cli.host.checks.separator import validate_separated
from mscol_cli.host.checks.values import breach
from mscol_cli.host.guard import label_of, plugin_call
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

        Raises:
            PluginError: The separator returned something else than it promised.
            PluginCallError: It raised another exception, which names the track.
        """
        failure = None
        try:
            outcomes = self._separate(batch)
        except torch.OutOfMemoryError:
            failure = self._without_room(batch)
        except BadInputError as error:
            failure = error
        if failure is None:
            return outcomes
        if len(batch) == 1:
            return [failure]
        half = len(batch) // 2
        return [*self.run(batch[:half]), *self.run(batch[half:])]

    def _separate(self, batch: Sequence[Chunk]) -> list[Outcome]:
        tracks = list(dict.fromkeys(chunk.track for chunk in batch))
        try:
            with plugin_call(label_of(self._separator), f"track '{tracks[0]}'"):
                outcomes = list(self._separator.separate_many([chunk.audio for chunk in batch]))
        except PluginCallError as error:
            if len(tracks) == 1:
                raise
            for track in tracks:  # raises for the track that is to blame
                self._separate([chunk for chunk in batch if chunk.track == track])
            named = f"one of the tracks '{tracks[0]}' to '{tracks[-1]}'"
            raise PluginCallError(error.label, error.reason, named) from error.__cause__
        self._check(outcomes, batch)
        return [*outcomes]

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

    def _check(self, separated: Sequence[object], batch: Sequence[Chunk]) -> None:
        label = label_of(self._separator)
        if len(separated) != len(batch):
            raise breach(
                label, f"separate_many returned {len(separated)} results for {len(batch)} chunks"
            )
        for chunk, sources in zip(batch, separated, strict=True):
            where = f"{label}: track '{chunk.track}'"
            validate_separated(sources, self._separator.sources, chunk.samples, where)
