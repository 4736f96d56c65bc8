"""What the store says of one track, or of one input that failed, as one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from mscol_cli.errors import MscolError
from mscol_cli.store.segments import SAMPLE_RATE
from mscol_cli.system.files import file_hash

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class FileStamp:
    """A source file as it was when it was separated.

    Attributes:
        name: Its name, without folders.
        size: Bytes.
        mtime_ns: Time of its last change.
        sha256: Of its content, hex.
        seconds: How long it lasts as decoded; None where it was not measured.
        declared_seconds: How long its header says it lasts; None where that says nothing.
        shortfall: What is missing of it, as a phrase; None if nothing is.
    """

    name: str
    size: int
    mtime_ns: int
    sha256: str
    seconds: float | None = None
    declared_seconds: float | None = None
    shortfall: str | None = None

    @staticmethod
    def of(path: Path) -> FileStamp:
        """The stamp of a file; reads all of it."""
        status = path.stat()
        return FileStamp(path.name, status.st_size, status.st_mtime_ns, file_hash(path))

    def matches(self, path: Path) -> bool:
        """Whether `path` still has this content; reads it only if size or time differ.

        A file that cannot be read has other content, as far as anybody can tell.
        """
        try:
            status = path.stat()
            if status.st_size != self.size:
                return False
            return status.st_mtime_ns == self.mtime_ns or file_hash(path) == self.sha256
        except OSError:
            return False


@dataclass(frozen=True)
class SourceRecord:
    """Where one source of a track lies, and what makes its samples a waveform again.

    Attributes:
        offset: First sample in the shard.
        gain: Factor from int16 to the waveform; chosen so that the peak is full scale.
        norm: L2 norm of the waveform.
    """

    offset: int
    gain: float
    norm: float


@dataclass(frozen=True)
class TrackRecord:
    """One track of the store.

    Attributes:
        id: Its name.
        files: The files it came from, by role.
        shard: Number of the shard that holds it.
        samples: Length of every source, at 16 kHz.
        segments: Number of segments.
        level_row: Row of its first segment in `levels.npy`.
        sources: By name, the mixture first.
    """

    id: str
    files: Mapping[str, FileStamp]
    shard: int
    samples: int
    segments: int
    level_row: int
    sources: Mapping[str, SourceRecord]

    def to_line(self) -> str:
        """One line of JSON, with its line end."""
        return json.dumps(asdict(self), separators=(",", ":")) + "\n"

    @staticmethod
    def from_line(line: Mapping[str, Any]) -> TrackRecord:
        """Take a parsed line. Raises KeyError, TypeError, AttributeError."""
        sources = {name: _known(SourceRecord, values) for name, values in line["sources"].items()}
        return _known(TrackRecord, {**line, "files": _stamps(line["files"]), "sources": sources})


@dataclass(frozen=True)
class FailureRecord:
    """One input of the store that could not be used.

    Attributes:
        input: The track's name.
        reason: One line.
        files: Those of its files that could be read at all, by role.
    """

    input: str
    reason: str
    files: Mapping[str, FileStamp] = field(default_factory=dict)

    def to_line(self) -> str:
        """One line of JSON, with its line end."""
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def from_line(line: Mapping[str, Any]) -> FailureRecord:
        """Take a parsed line. Raises KeyError, TypeError, AttributeError."""
        return _known(FailureRecord, {**line, "files": _stamps(line.get("files", {}))})


def _stamps(files: Mapping[str, Any]) -> dict[str, FileStamp]:
    return {role: _known(FileStamp, stamp) for role, stamp in files.items()}


def _known(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """A record of the values that this mscol knows; others are of a newer one."""
    names = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: values[name] for name in names if name in values})


class Stored:
    """Tracks that are written, by id."""

    def __init__(self, records: Mapping[str, TrackRecord]) -> None:
        """Take the newest record of each track."""
        self._records = records

    @property
    def tracks(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(self._records)

    def stamps(self, track_id: str) -> Mapping[str, FileStamp]:
        """The files that a track was made from, by role."""
        return self._records[track_id].files

    def holds(self, track_id: str, files: Mapping[str, Path]) -> bool:
        """Whether the track is there, made from files of this same content."""
        return track_id in self._records and matches(self.stamps(track_id), files)

    def made_from(self, track_id: str, files: Mapping[str, FileStamp]) -> bool:
        """Whether the track is there, made from files of these hashes."""
        return track_id in self._records and hashes(self.stamps(track_id)) == hashes(files)

    def by_content(self) -> dict[tuple[tuple[str, str], ...], str]:
        """Ids by the hashes of what they were made from, each with its role."""
        return {
            tuple(sorted(hashes(self.stamps(track_id)).items())): track_id
            for track_id in self._records
        }


def hashes(files: Mapping[str, FileStamp]) -> dict[str, str]:
    """SHA-256 of files, by role."""
    return {role: stamp.sha256 for role, stamp in files.items()}


def newest(records: Iterable[TrackRecord]) -> dict[str, TrackRecord]:
    """Records by track id; of several records of one track the last counts."""
    return {record.id: record for record in records}


def totals(records: Collection[TrackRecord]) -> dict[str, Any]:
    """How many tracks and segments, and how many hours of music, each track counted once."""
    return {
        "tracks": len(records),
        "segments": sum(record.segments for record in records),
        "hours": round(sum(record.samples for record in records) / SAMPLE_RATE / 3600, 6),
    }


def read_tracks(path: Path, size: int | None = None) -> Iterator[TrackRecord]:
    """The records of a `tracks.jsonl`; arguments and errors are those of `read_lines`."""
    return _read(path, size, TrackRecord.from_line, "tracks")


def read_failures(path: Path) -> Iterator[FailureRecord]:
    """The records of a `failures.jsonl`; errors are those of `read_lines`."""
    return _read(path, None, FailureRecord.from_line, "inputs")


def _read(
    path: Path, size: int | None, take: Callable[[Mapping[str, Any]], Kind], what: str
) -> Iterator[Kind]:
    for line in read_lines(path, size):
        try:
            record = take(line)
        except (KeyError, TypeError, AttributeError):
            raise MscolError(
                f"{path}: lacks fields of its {what}; separate again with -o"
            ) from None
        yield record


def read_lines(path: Path, size: int | None = None) -> Iterator[dict[str, Any]]:
    """The objects of a file with one JSON object a line; none if there is no file.

    Args:
        path: The file.
        size: Bytes to read; None reads all.

    Raises:
        MscolError: A line is damaged.
    """
    content = path.read_bytes()[:size] if path.exists() else b""
    for number, line in enumerate(content.splitlines(), 1):
        try:
            yield json.loads(line)
        except ValueError:
            raise MscolError(f"{path}: line {number} is damaged; separate again with -o") from None


def matches(stamps: Mapping[str, FileStamp], files: Mapping[str, Path]) -> bool:
    """Whether files still have the content that stamps were made of; they are read only where size
    or time differ."""
    return stamps.keys() == files.keys() and all(
        stamp.matches(files[role]) for role, stamp in stamps.items()
    )
