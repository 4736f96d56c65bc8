"""store info, ls, manifest: what a store holds, by its index alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mscol_cli.audio import shortfall
from mscol_cli.errors import MissingDataError
from mscol_cli.store.header import FAILURES, TRACKS, SeparatorIdentity, StoreHeader
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
"""Seconds: a few frames more or less, as lossy formats count them, are no loss."""


@dataclass(frozen=True)
class StoreInfo:
    """A store at a glance.

    Attributes:
        store: Its folder.
        sealed: Whether it is finished; counts are those so far if it is not.
        tracks: How many.
        segments: How many.
        hours: Of music, each track counted once.
        bytes: Of all its files.
        failures: Inputs that could not be used; None until it is sealed.
        separator: Who filled it: options, and the passport with model and licence.
        active: By source, the share of segments in which it sounds (mean |x| above 0.01); None
            until it is sealed.
        hash: Identifies what it holds; None until it is sealed.
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
        id: Its name.
        seconds: How long it lasts.
        segments: How many it has.
        sources: Those that sound in at least one segment, the mixture left out.
    """

    id: str
    seconds: float
    segments: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class ManifestLine:
    """One file of one input.

    Attributes:
        input: Name of the track.
        status: `done`; `short` if it is in the store, but part of it is missing; `failed`.
        reason: Why it failed, or what it lacks.
        role: What the file is to the track: its mixture, or a source.
        file: Name of the file; None where no file could be read at all.
        sha256: Of its content, hex.
        seconds: How long it lasts as decoded; None where nothing could be decoded.
        declared_seconds: How long its header says it lasts; None where it says nothing.
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
    """Look at a store, sealed or not. Raises MissingDataError, UsageError, MscolError."""
    header = StoreHeader.read(path)
    counted = {key: getattr(header, key) for key in ("tracks", "segments", "hours")}
    if not header.sealed:
        counted = totals(records_so_far(path, Plan.read(path)).values())
    return StoreInfo(
        store=path,
        sealed=header.sealed,
        **counted,
        bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        failures=header.failures if header.sealed else None,
        separator=header.separator,
        active=Store.open(path).active_shares() if header.sealed else None,
        hash=header.hash if header.sealed else None,
    )


def tracks(path: Path) -> list[TrackInfo]:
    """Every track of a sealed store, in the order of the ids.

    Raises:
        MissingDataError: There is no store, it is not finished, or one of its files is gone.
        UsageError: It has the layout of another mscol.
    """
    index = Store.open(path).index
    sounding = np.zeros((len(index.track_ids), len(index.sources)), dtype=bool)
    np.logical_or.at(sounding, index.segment_track, index.segment_level > ACTIVE_LEVEL)
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
        for name, row in zip(index.track_ids, sounding.tolist(), strict=True)
    ]


def manifest(path: Path) -> list[ManifestLine]:
    """A line for each file of each input that was separated or that failed, sorted by input.

    An input that failed after an earlier version of it was separated has lines for both.

    Raises:
        MissingDataError: There is no store.
        UsageError: It has the layout of another mscol.
        MscolError: Its index is damaged.
    """
    header = StoreHeader.read(path)
    gone = [name for name in (TRACKS, FAILURES) if header.sealed and not (path / name).is_file()]
    if gone:
        raise MissingDataError(f"{path} lacks {gone[0]}: restore it, or separate again with -o")
    plan = Plan.read(path)
    done = records_so_far(path, plan)
    lines = [line for record in done.values() for line in _done_lines(record)]
    for failure in failures_so_far(path, plan):
        lines += _failed_lines(failure)
    return sorted(lines, key=lambda line: line.input)


def _done_lines(record: TrackRecord) -> Iterator[ManifestLine]:
    for role, file in record.files.items():
        missing = _shortfall(file)
        status: Status = "short" if missing else "done"
        yield ManifestLine(record.id, status, missing, role, **_measured(file))


def _failed_lines(failure: FailureRecord) -> Iterator[ManifestLine]:
    for role, file in failure.files.items():
        yield ManifestLine(failure.input, "failed", failure.reason, role, **_measured(file))
    if not failure.files:
        yield ManifestLine(failure.input, "failed", failure.reason)


def _measured(file: FileStamp) -> dict[str, Any]:
    return {
        "file": file.name,
        "sha256": file.sha256,
        "seconds": file.seconds,
        "declared_seconds": file.declared_seconds,
    }


def _shortfall(file: FileStamp) -> str | None:
    # Stores that were filled before it was kept may have the lengths.
    if file.shortfall is not None or file.seconds is None:
        return file.shortfall
    return shortfall(file.seconds, file.declared_seconds)
