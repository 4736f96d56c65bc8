"""Groups of tracks through a separator.

What is separated together decides how sums are rounded. So batches never reach across the border
of a group: a group that is done again, whatever was done before, comes out the same, bit by bit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from torch import Tensor

from mscol_cli.ahead import streams_ahead
from mscol_cli.audio import StreamResampler
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.errors import BadInputError
from mscol_cli.host.checks.values import breach
from mscol_cli.host.guard import label_of
from mscol_cli.separation.batches import Batcher
from mscol_cli.separation.crossfade import CrossFade
from mscol_cli.separation.reading import Chunk, read_chunks
from mscol_cli.store import SAMPLE_RATE, FileStamp
from mscol_cli.store.spool import Spool

DECODERS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Separated:
    """A track with its sources; to be closed by whoever took it.

    Attributes:
        track: Which one.
        stamps: The files as they were read, by role.
        waveforms: Mixture and sources as the store has them: 16 kHz, mono.
        copies: Sources at the separator's rate, (channels, samples); none unless asked for.
        sample_rate: Hz of `copies`.
    """

    track: TrackInput
    stamps: Mapping[str, FileStamp]
    waveforms: Mapping[str, Spool]
    copies: Mapping[str, Spool]
    sample_rate: int

    def close(self) -> None:
        """Give memory and disk back."""
        for spool in (*self.waveforms.values(), *self.copies.values()):
            spool.close()


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
        separator: What separates them.
        scratch: Folder on whose disk long tracks are kept until they are whole.
        copies: Whether sources are wanted at the separator's own rate, too.

    Yields:
        Each track with its sources, or with what is wrong with it.

    Raises:
        PluginError: The separator returned something else than it promised.
        PluginCallError: It raised an exception that is not of mscol's.
    """
    batcher = Batcher(separator)
    numbered = ((number, track) for number, group in enumerate(groups) for track in group)
    streams = streams_ahead(
        lambda item: read_chunks(item[1], separator.sample_rate, separator.chunking),
        numbered,
        DECODERS,
    )
    for _, arriving in groupby(streams, key=lambda stream: stream[0][0]):
        pending: list[tuple[_Growing, Chunk]] = []
        for (_, track), chunks in arriving:
            growing = _Growing(track, separator, scratch, copies)
            try:
                for chunk in chunks:
                    if not batcher.fits([held for _, held in pending], chunk):
                        yield from _flush(pending, batcher)
                    if growing.failed:
                        break
                    pending.append((growing, chunk))
            except BadInputError as error:
                pending = [(other, chunk) for other, chunk in pending if other is not growing]
                yield growing.fail(error)
        yield from _flush(pending, batcher)


def _flush(pending: list[tuple[_Growing, Chunk]], batcher: Batcher) -> Iterator[Result]:
    outcomes = batcher.run([chunk for _, chunk in pending]) if pending else []
    outcomes.reverse()
    for growing, chunk in pending:
        outcome = outcomes.pop()  # let go of as soon as it is written
        if growing.failed:
            continue
        if isinstance(outcome, BadInputError):
            # A separator does not know which track it is given.
            yield growing.fail(BadInputError(f"{growing.track.id}: {outcome}"))
            continue
        growing.add(outcome, chunk)
        if chunk.stamps is not None:
            yield growing.finish(chunk.stamps)
    pending.clear()


class _Growing:
    """A track of which some chunks are separated.

    Attributes:
        track: Which one.
        failed: Whether something was wrong with it.
    """

    def __init__(
        self, track: TrackInput, separator: Separator, scratch: Path, copies: bool
    ) -> None:
        self.failed = False
        self.track, self._scratch = track, scratch
        overlap = separator.chunking.overlap if separator.chunking else 0
        names = (MIXTURE, *separator.sources)
        self._fades = {name: CrossFade(overlap) for name in names}
        self._resamplers: dict[str, StreamResampler] = {}
        self._waveforms = {name: Spool(scratch) for name in names}
        self._copied = separator.sources if copies else ()
        self._copies: dict[str, Spool] = {}
        self._rate = 0
        self._label, self._channels = label_of(separator), dict[str, int]()

    def add(self, separated: Mapping[str, Tensor], chunk: Chunk) -> None:
        """Take the next chunk with its sources."""
        self._check_channels(separated)
        self._rate = chunk.sample_rate
        for name, fade in self._fades.items():
            joined = fade.push(separated[name].float(), chunk.last)
            self._store(name, joined, chunk.last)
            if name in self._copied:
                self._copy(name, joined)

    def _check_channels(self, separated: Mapping[str, Tensor]) -> None:
        """Chunks that are joined must have the same channels."""
        for name in self._fades:
            channels = len(separated[name])
            if self._channels.setdefault(name, channels) != channels:
                raise breach(
                    f"{self._label}: track '{self.track.id}'",
                    f"separate returned '{name}' with {self._channels[name]} channels in one chunk"
                    f" and {channels} in the next",
                )

    def finish(self, stamps: Mapping[str, FileStamp]) -> Result:
        """The whole track."""
        return self.track, Separated(self.track, stamps, self._waveforms, self._copies, self._rate)

    def fail(self, error: BadInputError) -> Result:
        """Give up on the track."""
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
