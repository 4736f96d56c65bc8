"""store info, ls, manifest: contents of a store, read from its index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mscol_cli.audio import shortfall
from mscol_cli.store.header import FAILURES, TRACKS, SeparatorIdentity, StoreHeader, require_files
from mscol_cli.store.joining import failures_so_far, records_so_far
from mscol_cli.store.plan import Plan
from mscol_cli.store.reader import Store
from mscol_cli.store.records import (
    FailureRecord,
    FileStamp,
    TrackRecord,
    newest,
    read_tracks,
    totals,
)
from mscol_cli.store.segments import ACTIVE_LEVEL, SAMPLE_RATE

Status = Literal["done", "short", "failed"]


@dataclass(frozen=True)
class StoreInfo:
    """Summary of a store.

    Attributes:
        store: Folder of the store.
        sealed: Whether the store is finished; otherwise counts are preliminary.
        tracks: Number of tracks.
        segments: Number of segments.
        hours: Duration of the music, each track counted once.
        bytes: Size of all files.
        failures: Number of inputs that could not be used; None until sealed.
        separator: The separator, with options, model and licence.
        active: Share of active segments (mean |x| above 0.01), by source; None until sealed.
        hash: Hash of the contents; None until sealed.
    """

    store: Path
    sealed: bool
    tracks: int
    segments: int
    hours: float
    bytes: int
    failures: int | None
    separator: SeparatorIdentity
    active: dict[str, float] | None
    hash: str | None


@dataclass(frozen=True)
class TrackInfo:
    """One track of a sealed store.

    Attributes:
        id: Track id.
        seconds: Duration.
        segments: Number of segments.
        sources: Sources that are active in at least one segment, without the mixture.
    """

    id: str
    seconds: float
    segments: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class ManifestLine:
    """One file of one input.

    Attributes:
        input: Track id.
        status: `done`, `short` (stored, but part of the audio is missing) or `failed`.
        reason: Why it failed, or which part is missing.
        role: Role of the file in the track: its mixture, or a source.
        file: Name of the file; None if no file could be read.
        sha256: SHA-256 of the file, hex.
        seconds: Decoded duration; None if unknown.
        declared_seconds: Duration in the file header; None if unknown.
    """

    input: str
    status: Status
    reason: str | None = None
    role: str | None = None
    file: str | None = None
    sha256: str | None = None
    seconds: float | None = None
    declared_seconds: float | None = None


def info(path: Path) -> StoreInfo:
    """Summarise a store, sealed or not. Raises MissingDataError, UsageError, MscolError."""
    header = StoreHeader.read(path)
    counts = {key: getattr(header, key) for key in ("tracks", "segments", "hours")}
    if not header.sealed:
        counts = totals(records_so_far(path, Plan.read(path)).values())
    return StoreInfo(
        store=path,
        sealed=header.sealed,
        **counts,
        bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        failures=header.failures if header.sealed else None,
        separator=header.separator,
        active=Store.open(path).active_shares() if header.sealed else None,
        hash=header.hash if header.sealed else None,
    )


def tracks(path: Path) -> list[TrackInfo]:
    """Every track of a sealed store, sorted by id.

    Raises:
        MissingDataError: The store does not exist, is not sealed, or lacks a file.
        UsageError: The layout is that of another version.
    """
    index = Store.open(path).index
    active = np.zeros((len(index.track_ids), len(index.sources)), dtype=bool)
    np.logical_or.at(active, index.segment_track, index.segment_level > ACTIVE_LEVEL)
    records = newest(read_tracks(path / TRACKS))
    return [
        TrackInfo(
            id=name,
            seconds=round(records[name].samples / SAMPLE_RATE, 3),
            segments=records[name].segments,
            sources=tuple(
                source for source, on in zip(index.sources[1:], row[1:], strict=True) if on
            ),
        )
        for name, row in zip(index.track_ids, active.tolist(), strict=True)
    ]


def manifest(path: Path) -> list[ManifestLine]:
    """One line for each file of each separated or failed input, sorted by input.

    An input that failed after an earlier version of it was separated has lines for both.

    Raises:
        MissingDataError: The store does not exist.
        UsageError: The layout is that of another version.
        MscolError: The index is damaged.
    """
    header = StoreHeader.read(path)
    if header.sealed:
        require_files(path, (TRACKS, FAILURES))
    plan = Plan.read(path)
    records = records_so_far(path, plan)
    lines = [line for record in records.values() for line in _done_lines(record)]
    for failure in failures_so_far(path, plan):
        lines += _failed_lines(failure)
    return sorted(lines, key=lambda line: line.input)


def _done_lines(record: TrackRecord) -> Iterator[ManifestLine]:
    for role, file in record.files.items():
        missing = _shortfall(file)
        status: Status = "short" if missing else "done"
        yield ManifestLine(record.id, status, missing, role, **_file_fields(file))


def _failed_lines(failure: FailureRecord) -> Iterator[ManifestLine]:
    for role, file in failure.files.items():
        yield ManifestLine(failure.input, "failed", failure.reason, role, **_file_fields(file))
    if not failure.files:
        yield ManifestLine(failure.input, "failed", failure.reason)


def _file_fields(file: FileStamp) -> dict[str, Any]:
    return {
        "file": file.name,
        "sha256": file.sha256,
        "seconds": file.seconds,
        "declared_seconds": file.declared_seconds,
    }


def _shortfall(file: FileStamp) -> str | None:
    # Older stores have durations, but no shortfall.
    if file.shortfall is not None or file.seconds is None:
        return file.shortfall
    return shortfall(file.seconds, file.declared_seconds)
