"""`mscol store verify`: whether a sealed store is what it was when it was sealed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mscol_cli.contracts.progress import ByteMeter, Progress
from mscol_cli.errors import BadInputError, MissingDataError, MscolError
from mscol_cli.store.header import (
    FAILURES,
    HEADER,
    LEVELS,
    TRACKS,
    StoreHeader,
    read_sealed,
    shard_name,
)
from mscol_cli.store.records import TrackRecord, newest, read_tracks, totals
from mscol_cli.store.segments import segment_count
from mscol_cli.system.files import file_hash, inside


@dataclass(frozen=True)
class Findings:
    """What is wrong with a store; nothing, if all is empty.

    Attributes:
        missing: Files that are not there, by their path in the store.
        damaged: One line for each file or track that is not what it was.
    """

    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class VerifyResult:
    """What was found.

    Attributes:
        store: Its folder.
        files: Files that have a checksum.
        bytes: Of those that are there.
        tracks: By `store.json`.
        missing: Files that are gone, by their path in the store.
        damaged: One line for each file or track that is not what it was.
        seconds: How long it took.
    """

    store: Path
    files: int
    bytes: int
    tracks: int
    missing: list[str]
    damaged: list[str]
    seconds: float


def check_files(folder: Path, header: StoreHeader, watch: Callable[[int], None]) -> Findings:
    """Compare every data file with its checksum.

    Args:
        folder: The store.
        header: Its `store.json`.
        watch: Told how many bytes were read, block by block.
    """
    found = Findings()
    for name, checksum in header.checksums.items():
        path = _inside(folder, name)
        if path is None:
            found.damaged.append(f"{HEADER}: names a file outside of the store, {name!r}")
        elif not path.is_file():
            found.missing.append(name)
        elif (actual := file_hash(path, watch)) != checksum:
            found.damaged.append(
                f"{name}: is not as it was sealed (SHA-256 {actual[:12]}..., not"
                f" {checksum[:12]}...)"
            )
    return found


def check_records(folder: Path, header: StoreHeader) -> Findings:
    """Compare `tracks.jsonl` with shards, levels and `store.json`; files that are gone are left
    to `check_files`."""
    try:
        records = list(read_tracks(folder / TRACKS))
        problems = list(_misfits(folder, header, records))
    except (KeyError, TypeError, AttributeError):
        return Findings(damaged=[f"{TRACKS}: lacks fields of its tracks"])
    except MscolError as error:
        return Findings(damaged=[str(error)])
    return Findings(damaged=problems)


def _misfits(folder: Path, header: StoreHeader, records: Sequence[TrackRecord]) -> Iterator[str]:
    shards = [shard_name(number) for number in sorted({record.shard for record in records})]
    lengths = {name: _rows(folder / name) for name in (LEVELS, *shards)}
    for name in (*lengths, TRACKS, FAILURES):
        if name not in header.checksums:
            yield f"{HEADER}: has no checksum of {name}"
    for name, length in lengths.items():
        if length is None and (folder / name).is_file():
            yield f"{name}: is no array that numpy reads"
    for number, record in enumerate(records, 1):
        if problem := _misfit(record, header.sources, lengths):
            yield f"{TRACKS}: line {number}, track {record.id!r}: {problem}"
    actual = totals(newest(records).values())
    for key, value in actual.items():
        if getattr(header, key) != value:
            yield f"{HEADER}: says {key} {getattr(header, key)}, {TRACKS} makes it {value}"


def _misfit(
    record: TrackRecord, sources: Sequence[str], lengths: Mapping[str, int | None]
) -> str | None:
    """What of a track lies outside of the arrays, or does not fit its length."""
    samples, segments, shard = record.samples, record.segments, shard_name(record.shard)
    if record.sources.keys() != set(sources):
        return f"has the sources {', '.join(record.sources)}, not {', '.join(sources)}"
    for name, source in record.sources.items():
        if not _fits(source.offset, samples, lengths[shard]):
            return f"{name} reaches beyond {shard}"
    if segments != segment_count(samples):
        return f"{samples} samples make {segment_count(samples)} segments, not {segments}"
    if not _fits(record.level_row, segments, lengths[LEVELS]):
        return f"its levels reach beyond {LEVELS}"
    return None


def _fits(first: int, count: int, length: int | None) -> bool:
    return length is None or (first >= 0 and count > 0 and first + count <= length)


def _rows(path: Path) -> int | None:
    """Length of an array on disk; None if it cannot be read."""
    try:
        return len(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, TypeError):
        return None


def _inside(folder: Path, name: str) -> Path | None:
    try:
        return inside(folder, name)
    except BadInputError:
        return None


def run(path: Path, progress: Progress) -> VerifyResult:
    """Read the whole of a sealed store and say what is wrong with it.

    Raises:
        MissingDataError: There is no store, or it is not finished.
        UsageError: It has the layout of another mscol.
    """
    begun = time.monotonic()
    header = read_sealed(path)
    there = [path / name for name in header.checksums if (path / name).is_file()]
    size = sum(file.stat().st_size for file in there)
    meter = ByteMeter(progress, "checking", size)
    files, records = check_files(path, header, meter.add), check_records(path, header)
    progress.end()
    return VerifyResult(
        store=path,
        files=len(header.checksums),
        bytes=size,
        tracks=header.tracks,
        missing=files.missing,
        damaged=[*files.damaged, *records.damaged],
        seconds=round(time.monotonic() - begun, 3),
    )


def raise_if_damaged(result: VerifyResult) -> None:
    """End badly if something is wrong. Raises MissingDataError for a missing file, MscolError."""
    what = "restore what is named above, or separate again with -o elsewhere"
    if result.missing:
        raise MissingDataError(f"{result.store} lacks files: {what}")
    if result.damaged:
        raise MscolError(f"{result.store} is damaged: {what}")
