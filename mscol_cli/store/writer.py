"""Filling a store, or a unit of one, so that it can be interrupted at any moment and gone on with.

Samples are appended and synced before the line that names them; on re-opening, whatever no line
names is cut off. Nothing on the disk is touched before the first track is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np

from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.errors import BadInputError, UsageError
from mscol_cli.store.arrays import Extent, GrowingArray, extent, quantise
from mscol_cli.store.header import (
    FAILURES,
    HEADER,
    LEVELS,
    SHARDS,
    TRACKS,
    SeparatorIdentity,
    StoreHeader,
    shard_name,
)
from mscol_cli.store.journal import Journal, whole_tracks
from mscol_cli.store.plan import WORK
from mscol_cli.store.records import (
    FailureRecord,
    FileStamp,
    SourceRecord,
    Stored,
    TrackRecord,
    newest,
    totals,
)
from mscol_cli.store.segments import MINIMUM, SAMPLE_RATE, segment_levels
from mscol_cli.store.spool import Samples
from mscol_cli.system.files import file_hash, leftovers, sync, write_text

SHARD_BYTES = 1 << 30


class StoreWriter:
    """Makes a store, or goes on with one.

    Attributes:
        path: The store's folder.
        header: What `store.json` says or will say.
    """

    def __init__(
        self,
        path: Path,
        sources: Sequence[str],
        separator: SeparatorIdentity,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        """Look at the folder.

        Args:
            path: Folder of the store; need not exist.
            sources: Names of the sources, `mixture` not among them.
            separator: Who makes them.
            shard_bytes: A shard of at least this size gets no further track.

        Raises:
            UsageError: The folder holds something else, or a store of other sources, of another
                separator or of another layout.
        """
        self.path = path
        self._shard_bytes = shard_bytes
        self.header = find_header(path, (MIXTURE, *sources), separator)
        self._journal = Journal(path / TRACKS)
        records = list(whole_tracks(path / TRACKS))
        self._done = newest(records)
        self._last = records[-1] if records else None
        self._number = self._last.shard if self._last else 0
        self._shard: GrowingArray | None = None
        self._levels: GrowingArray | None = None

    def close(self) -> None:
        """Close whatever is open; without `seal` the store stays unfinished."""
        for array in (self._shard, self._levels):
            if array is not None:
                array.close()
        self._shard = self._levels = None
        self._journal.close()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stored(self) -> Stored:
        """What is in the store."""
        return Stored(self._done)

    def add(
        self,
        track_id: str,
        files: Mapping[str, FileStamp],
        waveforms: Mapping[str, Samples],
    ) -> None:
        """Write one track; a track of that id which is already there is superseded.

        Args:
            track_id: Its name.
            files: What it was made from, by role.
            waveforms: Mixture and sources by name, each at 16 kHz, all of one
                length.

        Raises:
            BadInputError: The track is too short, or has samples that are not numbers.
        """
        extents = _measure(track_id, waveforms)
        shard, levels = self._open_arrays()
        if shard.rows * 2 >= self._shard_bytes:
            shard = self._next_shard(shard)
        level = np.stack([segment_levels(waveforms[name]) for name in self.header.sources], axis=1)
        placed = {
            name: _place(shard, waveforms[name], extents[name]) for name in self.header.sources
        }
        row = levels.append(level)
        shard.sync()
        levels.sync()
        samples = len(waveforms[MIXTURE])
        record = TrackRecord(track_id, files, self._number, samples, len(level), row, placed)
        self._journal.append(record)
        self._done[track_id] = self._last = record

    def seal(self, failures: Sequence[FailureRecord] = ()) -> StoreHeader:
        """Finish the store: array headers, checksums, then `store.json`.

        Args:
            failures: Inputs that could not be used.
        """
        lines = "".join(failure.to_line() for failure in failures)
        if self.header.sealed and self._shard is None and _text(self.path / FAILURES) == lines:
            return self.header
        shard, levels = self._open_arrays()
        shard.finish()
        levels.finish()
        write_text(self.path / FAILURES, lines)
        self.header = replace(
            self.header,
            sealed=True,
            checksums=self._checksums(),
            failures=len(failures),
            **totals(self._done.values()),
        )
        self.close()
        self.header.write(self.path)
        sync(self.path)
        return self.header

    def _open_arrays(self) -> tuple[GrowingArray, GrowingArray]:
        if self._shard is not None and self._levels is not None:
            return self._shard, self._levels
        (self.path / SHARDS).mkdir(parents=True, exist_ok=True)
        self._journal.open()
        self._remove_leftovers()
        # Only what is never written again keeps its checksum.
        closed = {shard_name(number) for number in range(self._number)}
        kept = {name: value for name, value in self.header.checksums.items() if name in closed}
        self.header = replace(self.header, sealed=False, checksums=kept)
        self.header.write(self.path)
        samples, rows = _ends(self._last)
        self._shard = GrowingArray(self.path / shard_name(self._number), np.int16, rows=samples)
        self._levels = GrowingArray(
            self.path / LEVELS, np.float32, (len(self.header.sources), 2), rows
        )
        return self._shard, self._levels

    def _remove_leftovers(self) -> None:
        """Files of a killed process: half-written temporary ones, and shards no line names."""
        named = {self.path / shard_name(number) for number in range(self._number + 1)}
        unnamed = set((self.path / SHARDS).glob("*.npy")) - named
        temporary = [path for name in (HEADER, FAILURES) for path in leftovers(self.path / name)]
        for path in (*unnamed, *temporary):
            path.unlink()

    def _next_shard(self, full: GrowingArray) -> GrowingArray:
        full.finish()
        checksum = {shard_name(self._number): file_hash(full.path)}
        self.header = replace(self.header, checksums={**self.header.checksums, **checksum})
        self._number += 1
        self._shard = GrowingArray(self.path / shard_name(self._number), np.int16)
        return self._shard

    def _checksums(self) -> dict[str, str]:
        known = self.header.checksums
        names = [*(shard_name(number) for number in range(self._number + 1)), LEVELS, TRACKS]
        return {name: known.get(name) or file_hash(self.path / name) for name in [*names, FAILURES]}


def find_header(path: Path, sources: tuple[str, ...], separator: SeparatorIdentity) -> StoreHeader:
    """The header of a store, which need not be there.

    Args:
        path: Its folder.
        sources: It shall have, the mixture first.
        separator: Who shall make them.

    Raises:
        UsageError: The folder holds something else, or a store of other sources, of another
            separator or of another layout.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file: choose another place for the store with -o")
    if not (path / HEADER).exists():
        _check_unused(path)
        return StoreHeader(sources, separator)
    header = StoreHeader.read(path)
    found = header.separator.differences(separator)
    if header.sources != sources and not found:
        found = [f"sources {','.join(header.sources)} -> {','.join(sources)}"]
    if found:
        raise UsageError(
            f"{path} was made with other settings ({'; '.join(found)}): keep to them, or choose"
            " another store with -o"
        )
    return header


def _check_unused(path: Path) -> None:
    """A folder may be new, empty, or where a store was about to be begun."""
    begun = {SHARDS, TRACKS, WORK}
    names = {entry.name for entry in path.iterdir()} if path.exists() else set()
    visible = {name for name in names if not name.startswith(".")}
    if not visible <= begun or _text(path / TRACKS):
        raise UsageError(f"{path} is not empty and no store: choose another place with -o")


def _measure(track_id: str, waveforms: Mapping[str, Samples]) -> dict[str, Extent]:
    """Peak and norm of each waveform. Raises BadInputError if the track cannot be stored."""
    samples = len(waveforms[MIXTURE])
    if samples < MINIMUM:
        raise BadInputError(
            f"{track_id}: lasts {samples / SAMPLE_RATE:.2f} s, shorter than the"
            f" {MINIMUM / SAMPLE_RATE:.3f} s of one crop; leave it out"
        )
    extents = {name: extent(waveform) for name, waveform in waveforms.items()}
    for name, measured in extents.items():
        if not isfinite(measured.norm):
            raise BadInputError(f"{track_id}: source {name} came out with NaN or infinite samples")
    return extents


def _place(shard: GrowingArray, waveform: Samples, measured: Extent) -> SourceRecord:
    first = shard.rows
    for stored in quantise(waveform, measured.peak):
        shard.append(stored)
    return SourceRecord(first, measured.gain, measured.norm)


def _ends(last: TrackRecord | None) -> tuple[int, int]:
    """Samples in the last shard and rows in the levels, up to the end of the last track."""
    if last is None:
        return 0, 0
    offset = max(source.offset for source in last.sources.values())
    return offset + last.samples, last.level_row + last.segments


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
