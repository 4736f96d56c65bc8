"""Filling a unit of a store, so that it can be interrupted and resumed at any time.

Samples are written and synced before the line that refers to them. Reopening cuts off samples
without a line. Nothing is written before the first track is added.
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
from mscol_cli.system.files import file_hash, sync, write_text
from mscol_cli.system.temporary import remove_leftovers

_SHARD = shard_name(0)
_FILES = (_SHARD, LEVELS, TRACKS, FAILURES)


class StoreWriter:
    """Creates a store with one shard, or resumes an unfinished one."""

    def __init__(self, path: Path, sources: Sequence[str], separator: SeparatorIdentity) -> None:
        """Read the folder without changing it.

        Args:
            path: Folder of the store; may be missing.
            sources: Names of the sources, without `mixture`.
            separator: The separator that makes them.

        Raises:
            UsageError: The folder contains other files, or a store with other sources, another
                separator or another layout.
        """
        self.path = path
        self.header = find_header(path, (MIXTURE, *sources), separator)
        self._journal = Journal(path / TRACKS)
        records = list(whole_tracks(path / TRACKS))
        self._done = newest(records)
        self._last = records[-1] if records else None
        self._shard: GrowingArray | None = None
        self._levels: GrowingArray | None = None

    def close(self) -> None:
        """Close all files; without `seal` the store stays unfinished."""
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
        """Tracks in the store."""
        return Stored(self._done)

    def add(
        self,
        track_id: str,
        files: Mapping[str, FileStamp],
        waveforms: Mapping[str, Samples],
    ) -> None:
        """Write one track. It replaces an earlier track with the same id.

        Args:
            track_id: Track id.
            files: Input files, by role.
            waveforms: Mixture and sources by name, (samples,) each, at 16 kHz, all of equal length.

        Raises:
            BadInputError: The track is too short, or has NaN or infinite samples.
        """
        extents = _measure(track_id, waveforms)
        shard, levels = self._open_arrays()
        level = np.stack([segment_levels(waveforms[name]) for name in self.header.sources], axis=1)
        sources = {
            name: _append(shard, waveforms[name], extents[name]) for name in self.header.sources
        }
        row = levels.append(level)
        shard.sync()
        levels.sync()
        samples = len(waveforms[MIXTURE])
        record = TrackRecord(track_id, files, 0, samples, len(level), row, sources)
        self._journal.append(record)
        self._done[track_id] = self._last = record

    def seal(self, failures: Sequence[FailureRecord] = ()) -> StoreHeader:
        """Finish the store: write array headers, checksums, then `store.json`.

        Args:
            failures: Inputs that could not be used.
        """
        lines = "".join(failure.to_line() for failure in failures)
        if self.header.sealed and self._shard is None and _read_text(self.path / FAILURES) == lines:
            return self.header
        shard, levels = self._open_arrays()
        shard.finish()
        levels.finish()
        write_text(self.path / FAILURES, lines)
        self.header = replace(
            self.header,
            sealed=True,
            checksums={name: file_hash(self.path / name) for name in _FILES},
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
        remove_leftovers(self.path, locked=True)
        self.header = replace(self.header, sealed=False, checksums={})
        self.header.write(self.path)
        samples, rows = _ends(self._last)
        self._shard = GrowingArray(self.path / _SHARD, np.int16, rows=samples)
        self._levels = GrowingArray(
            self.path / LEVELS, np.float32, (len(self.header.sources), 2), rows
        )
        return self._shard, self._levels


def find_header(
    path: Path, sources: tuple[str, ...], separator: SeparatorIdentity, *, shared: bool = False
) -> StoreHeader:
    """Header of an existing store, or of a new one.

    Args:
        path: Folder of the store; may be missing.
        sources: Expected sources, the mixture first.
        separator: Expected separator.
        shared: As in `SeparatorIdentity.differences`.

    Raises:
        UsageError: The folder contains other files, or a store with other sources, another
            separator or another layout.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file: choose another -o")
    if not (path / HEADER).exists():
        _check_unused(path)
        return StoreHeader(sources, separator)
    header = StoreHeader.read(path)
    differences = header.separator.differences(separator, shared=shared)
    if header.sources != sources and not differences:
        differences = [f"sources {','.join(header.sources)} -> {','.join(sources)}"]
    if differences:
        raise UsageError(
            f"{path} was made with other settings ({'; '.join(differences)}): keep them, or choose"
            " another store with -o"
        )
    return header


def _check_unused(path: Path) -> None:
    """Check that a folder is new, empty, or a store without tracks yet. Raises UsageError."""
    names = {entry.name for entry in path.iterdir()} if path.exists() else set()
    visible = {name for name in names if not name.startswith(".")}
    if not visible <= {SHARDS, TRACKS, WORK} or _read_text(path / TRACKS):
        raise UsageError(f"{path} is neither empty nor a store: choose another -o")


def _measure(track_id: str, waveforms: Mapping[str, Samples]) -> dict[str, Extent]:
    """Peak and norm of each waveform. Raises BadInputError if the track cannot be stored."""
    samples = len(waveforms[MIXTURE])
    if samples < MINIMUM:
        raise BadInputError(
            f"{track_id}: lasts {samples / SAMPLE_RATE:.2f} s, shorter than the"
            f" {MINIMUM / SAMPLE_RATE:.3f} s of one crop; leave it out"
        )
    extents = {name: extent(waveform) for name, waveform in waveforms.items()}
    for name, source in extents.items():
        if not isfinite(source.norm):
            raise BadInputError(f"{track_id}: source {name} has NaN or infinite samples")
    return extents


def _append(shard: GrowingArray, waveform: Samples, size: Extent) -> SourceRecord:
    first = shard.rows
    for block in quantise(waveform, size.peak):
        shard.append(block)
    return SourceRecord(first, size.gain, size.norm)


def _ends(last: TrackRecord | None) -> tuple[int, int]:
    """Samples in the last shard and rows of the levels up to the end of the last track."""
    if last is None:
        return 0, 0
    offset = max(source.offset for source in last.sources.values())
    return offset + last.samples, last.level_row + last.segments


def _read_text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
