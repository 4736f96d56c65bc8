"""Run a separator on groups of tracks, in batches of chunks.

Rounding depends on which chunks share a batch. Batches therefore never cross the border of a group,
so that repeating a group gives bit-identical results, whatever was done before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from mscol_cli.audio import StreamResampler
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.engine.devices import release_memory
from mscol_cli.errors import BadInputError, MissingDataError, PluginCallError
from mscol_cli.host.checks.separator import validate_separated
from mscol_cli.host.checks.values import breach
from mscol_cli.host.guard import label_of, plugin_call
from mscol_cli.separate.chunks import Chunk, CrossFade, read_chunks
from mscol_cli.store import SAMPLE_RATE, FileStamp
from mscol_cli.store.spool import Spool
from mscol_cli.system.prefetch import DECODERS, streams_ahead

ALLOWED = (BadInputError, MissingDataError)
"""Errors of `separate`: of a track, and of weights that are loaded with the first one."""
Outcome = Mapping[str, Tensor] | BadInputError


@dataclass(frozen=True)
class Separated:
    """A track with its sources. The receiver closes it.

    Attributes:
        track: The input.
        stamps: State of its files when they were read, by role.
        waveforms: Mixture and sources as stored, by name: (samples,) at 16 kHz, mono.
        copies: Sources at the separator's rate, by name: (channels, samples); empty unless
            listening copies are requested.
        sample_rate: Sample rate of `copies` in Hz.
    """

    track: TrackInput
    stamps: Mapping[str, FileStamp]
    waveforms: Mapping[str, Spool]
    copies: Mapping[str, Spool]
    sample_rate: int

    def close(self) -> None:
        """Release memory and disk space."""
        for spool in (*self.waveforms.values(), *self.copies.values()):
            spool.close()


class Batcher:
    """Runs a separator on batches, and reduces their size when the device runs out of memory.

    Attributes:
        limit: Maximum length of a batch in samples, summed over its chunks as if all were as long
            as the longest, to which separators pad them.
    """

    def __init__(self, separator: Separator) -> None:
        self.limit = separator.batch_samples
        self._separator = separator

    def fits(self, batch: Sequence[Chunk], chunk: Chunk) -> bool:
        """Whether a batch has room for another chunk; an empty batch always has."""
        return not batch or _padded_samples([*batch, chunk]) <= self.limit

    def run(self, batch: Sequence[Chunk]) -> list[Outcome]:
        """Separate chunks; returns the waveforms or the error of each.

        A batch that exceeds the device memory, or contains a chunk that the separator rejects, is
        retried in halves, so that no other chunk fails with it.

        Raises:
            PluginError: The separator's result breaks its contract.
            PluginCallError: The separator raised another exception. The error names the track.
        """
        failure: BadInputError | None = None
        try:
            return self._separate(batch)
        except torch.OutOfMemoryError:
            pass
        except BadInputError as error:
            failure = error
        # After the handler: the exception holds the tensors of the failed attempt.
        failure = failure or self._without_room(batch)
        if len(batch) == 1:
            return [failure]
        half = len(batch) // 2
        return [*self.run(batch[:half]), *self.run(batch[half:])]

    def _separate(self, batch: Sequence[Chunk]) -> list[Outcome]:
        tracks = list(dict.fromkeys(chunk.track for chunk in batch))
        label = label_of(self._separator)
        try:
            with torch.no_grad(), plugin_call(label, f"track '{tracks[0]}'", ALLOWED):
                outcomes = self._separator.separate_many([chunk.audio for chunk in batch])
        except PluginCallError as error:
            if len(tracks) == 1:
                raise
            for track in tracks:  # raises for the track that causes it
                self._separate([chunk for chunk in batch if chunk.track == track])
            named = f"one of the tracks '{tracks[0]}' to '{tracks[-1]}'"
            raise PluginCallError(error.label, error.reason, named) from error.__cause__
        self._check(outcomes, batch)
        return [*outcomes]

    def _without_room(self, batch: Sequence[Chunk]) -> BadInputError:
        self.limit = min(self.limit, _padded_samples(batch) // 2)
        release_memory()
        seconds = batch[0].samples / batch[0].sample_rate
        return BadInputError(
            f"a chunk of {seconds:.0f} s does not fit into device memory: free some, or use"
            " --device cpu"
        )

    def _check(self, separated: object, batch: Sequence[Chunk]) -> None:
        label = label_of(self._separator)
        if not isinstance(separated, (list, tuple)):
            raise breach(label, f"separate_many returned {type(separated).__name__}, not a list")
        if len(separated) != len(batch):
            raise breach(
                label, f"separate_many returned {len(separated)} results for {len(batch)} chunks"
            )
        for chunk, sources in zip(batch, separated, strict=True):
            where = f"{label}: track '{chunk.track}'"
            validate_separated(sources, self._separator.sources, chunk.samples, where)


def _padded_samples(batch: Sequence[Chunk]) -> int:
    return len(batch) * max(chunk.samples for chunk in batch)


Result = tuple[TrackInput, Separated | BadInputError]


def separate_groups(
    groups: Iterable[Sequence[TrackInput]],
    separator: Separator,
    scratch: Path,
    copies: bool = False,
) -> Iterator[Result]:
    """Separate every track of every group, in order, while later ones are decoded.

    Args:
        groups: Tracks that may share a batch.
        separator: The separator to run.
        scratch: Folder for temporary files of long tracks.
        copies: Whether to also return sources at the separator's sample rate.

    Yields:
        Each track with its sources, or with its error.

    Raises:
        PluginError: The separator's result breaks its contract.
        PluginCallError: The separator raised an exception.
    """
    batcher = Batcher(separator)
    numbered = ((number, track) for number, group in enumerate(groups) for track in group)
    streams = streams_ahead(
        lambda item: read_chunks(item[1], separator.sample_rate, separator.chunking),
        numbered,
        DECODERS,
    )
    for _, group_streams in groupby(streams, key=lambda stream: stream[0][0]):
        pending: list[tuple[_TrackInProgress, Chunk]] = []
        for (_, track), chunks in group_streams:
            partial = _TrackInProgress(track, separator, scratch, copies)
            try:
                for chunk in chunks:
                    if not batcher.fits([other for _, other in pending], chunk):
                        yield from _flush(pending, batcher)
                    if partial.failed:
                        break
                    pending.append((partial, chunk))
            except BadInputError as error:
                pending = [(other, chunk) for other, chunk in pending if other is not partial]
                yield partial.fail(error)
        yield from _flush(pending, batcher)


def _flush(pending: list[tuple[_TrackInProgress, Chunk]], batcher: Batcher) -> Iterator[Result]:
    outcomes = batcher.run([chunk for _, chunk in pending]) if pending else []
    outcomes.reverse()
    for partial, chunk in pending:
        outcome = outcomes.pop()  # freed as soon as it is written
        if partial.failed:
            continue
        if isinstance(outcome, BadInputError):
            # Separators do not know the id of a track.
            yield partial.fail(BadInputError(f"{partial.track.id}: {outcome}"))
            continue
        partial.add(outcome, chunk)
        if chunk.stamps is not None:
            yield partial.finish(chunk.stamps)
    pending.clear()


class _TrackInProgress:
    def __init__(
        self, track: TrackInput, separator: Separator, scratch: Path, copies: bool
    ) -> None:
        self.failed = False
        self.track, self._scratch = track, scratch
        overlap = separator.chunking.overlap if separator.chunking else 0
        names = (MIXTURE, *separator.sources)
        self._cross_fades = {name: CrossFade(overlap) for name in names}
        self._resamplers: dict[str, StreamResampler] = {}
        self._waveforms = {name: Spool(scratch) for name in names}
        self._copied_sources = separator.sources if copies else ()
        self._copies: dict[str, Spool] = {}
        self._rate = 0
        self._label, self._channels = label_of(separator), dict[str, int]()

    def add(self, separated: Mapping[str, Tensor], chunk: Chunk) -> None:
        self._check_channels(separated)
        self._rate = chunk.sample_rate
        for name, cross_fade in self._cross_fades.items():
            joined = cross_fade.push(separated[name].float(), chunk.last)
            self._store(name, joined, chunk.last)
            if name in self._copied_sources:
                self._copy(name, joined)

    def _check_channels(self, separated: Mapping[str, Tensor]) -> None:
        for name in self._cross_fades:
            channels = len(separated[name])
            if self._channels.setdefault(name, channels) != channels:
                raise breach(
                    f"{self._label}: track '{self.track.id}'",
                    f"separate returned '{name}' with {self._channels[name]} channels in one chunk"
                    f" and {channels} in the next",
                )

    def finish(self, stamps: Mapping[str, FileStamp]) -> Result:
        return self.track, Separated(self.track, stamps, self._waveforms, self._copies, self._rate)

    def fail(self, error: BadInputError) -> Result:
        self.failed = True
        for spool in (*self._waveforms.values(), *self._copies.values()):
            spool.close()
        return self.track, error

    def _store(self, name: str, joined: Tensor, last: bool) -> None:
        if name not in self._resamplers:
            self._resamplers[name] = StreamResampler(self._rate, SAMPLE_RATE)
        mono = self._resamplers[name].push(joined.mean(dim=0), last)
        self._waveforms[name].append(mono.cpu().numpy())

    def _copy(self, name: str, joined: Tensor) -> None:
        if name not in self._copies:
            self._copies[name] = Spool(self._scratch, len(joined))
        self._copies[name].append(joined.cpu().numpy())
