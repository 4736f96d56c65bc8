"""`mscol store verify`: check a sealed store against its checksums and records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.progress import ByteMeter, Progress
from mscol_cli.errors import BadInputError, MissingDataError, MscolError
from mscol_cli.store.arrays import open_levels, open_samples
from mscol_cli.store.header import (
    FAILURES,
    HEADER,
    LEVELS,
    TRACKS,
    StoreHeader,
    read_sealed,
    shard_name,
)
from mscol_cli.store.records import TrackRecord, newest, read_failures, read_tracks, totals
from mscol_cli.store.segments import segment_count
from mscol_cli.system.files import has_changed, inside


@dataclass(frozen=True)
class VerifyResult:
    """Result of a verification.

    Attributes:
        store: Folder of the store.
        files: Number of files with a checksum.
        bytes: Size of the existing files.
        tracks: Number of tracks according to `store.json`.
        missing: Missing files, by their path in the store.
        damaged: One line for each damaged file or track.
        seconds: Processing time.
    """

    store: Path
    files: int
    bytes: int
    tracks: int
    missing: list[str]
    damaged: list[str]
    seconds: float


def _check_files(
    folder: Path, header: StoreHeader, watch: Callable[[int], None]
) -> tuple[list[str], list[str]]:
    """Compare every data file with its checksum: the missing files, and one line for each damaged
    file. `watch` is called with the number of bytes of each block read."""
    missing: list[str] = []
    damaged: list[str] = []
    for name, checksum in header.checksums.items():
        path = _inside(folder, name)
        if path is None:
            damaged.append(f"{HEADER}: names a file outside of the store, {name!r}")
        elif not path.is_file():
            missing.append(name)
        elif change := has_changed(path, checksum, watch):
            damaged.append(f"{name}: {change}")
    return missing, damaged


def _check_records(folder: Path, header: StoreHeader) -> list[str]:
    """Compare `tracks.jsonl` with shards, levels and `store.json`; returns one line per problem.

    Missing files are left to `_check_files`.
    """
    try:
        return list(_inconsistencies(folder, header, list(read_tracks(folder / TRACKS))))
    except MscolError as error:
        return [str(error)]


def _inconsistencies(
    folder: Path, header: StoreHeader, records: Sequence[TrackRecord]
) -> Iterator[str]:
    shards = [shard_name(number) for number in sorted({record.shard for record in records})]
    lengths = {name: _rows(folder / name) for name in (LEVELS, *shards)}
    for name in (*lengths, TRACKS, FAILURES):
        if name not in header.checksums:
            yield f"{HEADER}: lacks a checksum of {name}"
    for name, length in lengths.items():
        if length is None and (folder / name).is_file():
            yield f"{name}: not an array that numpy can read"
    for number, record in enumerate(records, 1):
        if problem := _inconsistency(record, header.sources, lengths):
            yield f"{TRACKS}: line {number}, track {record.id!r}: {problem}"
    actual = totals(newest(records).values())
    for key, value in actual.items():
        if getattr(header, key) != value:
            yield f"{HEADER}: has {key} {getattr(header, key)}, but {TRACKS} has {value}"
    yield from _uncounted(folder, header, {record.id for record in records})


def _uncounted(folder: Path, header: StoreHeader, ids: set[str]) -> Iterator[str]:
    """A line if inputs of the plan are neither tracks nor failures."""
    failed = {failure.input for failure in read_failures(folder / FAILURES)}
    if header.inputs is not None and len(ids | failed) != header.inputs:
        yield (
            f"{HEADER}: {header.inputs} inputs were planned, but {len(ids | failed)} are tracks or"
            " failed"
        )


def _inconsistency(
    record: TrackRecord, sources: Sequence[str], lengths: Mapping[str, int | None]
) -> str | None:
    """Which part of a track lies outside of the arrays or does not match its length."""
    samples, segments, shard = record.samples, record.segments, shard_name(record.shard)
    if record.sources.keys() != set(sources):
        return f"has the sources {', '.join(record.sources)}, not {', '.join(sources)}"
    for name, source in record.sources.items():
        if not _fits(source.offset, samples, lengths[shard]):
            return f"{name} reaches beyond {shard}"
    if segments != segment_count(samples):
        return f"{samples} samples have {segment_count(samples)} segments, not {segments}"
    if not _fits(record.level_row, segments, lengths[LEVELS]):
        return f"its levels reach beyond {LEVELS}"
    return None


def _fits(first: int, count: int, length: int | None) -> bool:
    return length is None or (first >= 0 and count > 0 and first + count <= length)


def _rows(path: Path) -> int | None:
    """Length of an array on disk; None if it cannot be read."""
    try:
        return len(open_levels(path) if path.name == LEVELS else open_samples(path))
    except MscolError:
        return None


def _inside(folder: Path, name: str) -> Path | None:
    try:
        return inside(folder, name)
    except BadInputError:
        return None


def run(path: Path, progress: Progress) -> VerifyResult:
    """Read a sealed store completely and report its problems.

    Raises:
        MissingDataError: The store does not exist, or is not sealed.
        UsageError: The layout is that of another version.
    """
    begun = time.monotonic()
    header = read_sealed(path)
    existing = [path / name for name in header.checksums if (path / name).is_file()]
    size = sum(file.stat().st_size for file in existing)
    meter = ByteMeter(progress, "checking", size)
    missing, damaged = _check_files(path, header, meter.add)
    damaged += _check_records(path, header)
    progress.end()
    return VerifyResult(
        store=path,
        files=len(header.checksums),
        bytes=size,
        tracks=header.tracks,
        missing=missing,
        damaged=damaged,
        seconds=round(time.monotonic() - begun, 3),
    )


def raise_if_damaged(result: VerifyResult) -> None:
    """Raise MissingDataError if files are missing, MscolError if the store is damaged."""
    advice = "restore the files named above, or separate again with another -o"
    if result.missing:
        raise MissingDataError(f"{result.store} lacks files: {advice}")
    if result.damaged:
        raise MscolError(f"{result.store} is damaged: {advice}")
