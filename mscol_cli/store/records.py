"""Records of tracks and failed inputs, each one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mscol_cli.errors import MscolError
from mscol_cli.store.segments import SAMPLE_RATE
from mscol_cli.system.files import exists, file_hash, read_bytes
from mscol_cli.system.json_files import INVALID, format_invalid
from mscol_cli.system.values import from_flat

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class FileStamp:
    """State of an input file when it was separated.

    Attributes:
        name: File name, without folders.
        size: Size in bytes.
        mtime_ns: Modification time in nanoseconds.
        sha256: SHA-256 of the content, hex.
        seconds: Decoded duration; None if not measured.
        declared_seconds: Duration in the file header; None if unknown.
        shortfall: Description of missing audio; None if the file is complete.
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
        """Stamp a file; reads and hashes its content."""
        status = path.stat()
        return FileStamp(path.name, status.st_size, status.st_mtime_ns, file_hash(path))

    def matches(self, path: Path) -> bool:
        """Whether a file has this content; False if it cannot be read.

        The content is hashed only if the size is equal and the modification time differs.
        """
        try:
            status = path.stat()
            if status.st_size != self.size:
                return False
            if status.st_mtime_ns == self.mtime_ns:
                return True
            return _hash_once(path, status.st_size, status.st_mtime_ns) == self.sha256
        except OSError:
            return False


@cache
def _hash_once(path: Path, _size: int, _mtime_ns: int) -> str:
    """Hash of a file, which is read once per process unless its size or time changes."""
    return file_hash(path)


@dataclass(frozen=True)
class SourceRecord:
    """Position and scale of one source of a track.

    Attributes:
        offset: First sample in the shard.
        gain: Factor from int16 to the waveform, chosen so that the peak is full scale.
        norm: L2 norm of the waveform.
    """

    offset: int
    gain: float
    norm: float


@dataclass(frozen=True)
class TrackRecord:
    """One track of the store.

    Attributes:
        id: Track id.
        files: Input files, by role.
        shard: Number of the shard.
        samples: Length of every source in samples at 16 kHz.
        segments: Number of segments.
        level_row: Row of the first segment in `levels.npy`.
        sources: Sources by name, the mixture first.
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
        nested = {"files": _fields(self.files), "sources": _fields(self.sources)}
        return json.dumps({**vars(self), **nested}, separators=(",", ":")) + "\n"

    @staticmethod
    def from_line(line: Mapping[str, Any]) -> TrackRecord:
        """Build a record from a parsed line. Raises INVALID."""
        sources = {name: from_flat(SourceRecord, item) for name, item in line["sources"].items()}
        nested = {"files": _stamps(line["files"]), "sources": sources}
        return from_flat(TrackRecord, line, **nested)


@dataclass(frozen=True)
class FailureRecord:
    """One input that could not be used.

    Attributes:
        input: Track id.
        reason: Reason in one line.
        files: Readable files of the input, by role.
    """

    input: str
    reason: str
    files: Mapping[str, FileStamp] = field(default_factory=dict)

    def to_line(self) -> str:
        """One line of JSON, with its line end."""
        return json.dumps({**vars(self), "files": _fields(self.files)}) + "\n"

    @staticmethod
    def from_line(line: Mapping[str, Any]) -> FailureRecord:
        """Build a record from a parsed line. Raises INVALID."""
        return from_flat(FailureRecord, line, files=_stamps(line.get("files", {})))


def _fields(records: Mapping[str, FileStamp | SourceRecord]) -> dict[str, dict[str, Any]]:
    # Of 100,000 tracks, asdict() takes ten seconds longer.
    return {name: vars(record) for name, record in records.items()}


def _stamps(files: Mapping[str, Any]) -> dict[str, FileStamp]:
    return {role: from_flat(FileStamp, stamp) for role, stamp in files.items()}


class Stored:
    """Stored tracks, by id."""

    def __init__(self, records: Mapping[str, TrackRecord]) -> None:
        """Take the newest record of each track, by id."""
        self._records = records

    @property
    def tracks(self) -> frozenset[str]:
        """Track ids."""
        return frozenset(self._records)

    def stamps(self, track_id: str) -> Mapping[str, FileStamp]:
        """Input files of a track, by role."""
        return self._records[track_id].files

    def holds(self, track_id: str, files: Mapping[str, Path]) -> bool:
        """Whether the track is stored, made from files with the same content."""
        return track_id in self._records and matches(self.stamps(track_id), files)

    def made_from(self, track_id: str, files: Mapping[str, FileStamp]) -> bool:
        """Whether the track is stored, made from files with these hashes."""
        return track_id in self._records and hashes(self.stamps(track_id)) == hashes(files)

    def by_content(self) -> dict[tuple[tuple[str, str], ...], str]:
        """Track ids by sorted pairs of role and SHA-256 of the input files."""
        return {
            tuple(sorted(hashes(self.stamps(track_id)).items())): track_id
            for track_id in self._records
        }


def hashes(files: Mapping[str, FileStamp]) -> dict[str, str]:
    """SHA-256 of files, by role."""
    return {role: stamp.sha256 for role, stamp in files.items()}


def newest(records: Iterable[TrackRecord]) -> dict[str, TrackRecord]:
    """Records by track id; the last of several records of a track replaces the others."""
    return {record.id: record for record in records}


class TrackSize(NamedTuple):
    """Size of a track, which needs less memory than its record."""

    segments: int
    samples: int


def totals(records: Collection[TrackRecord | TrackSize]) -> dict[str, Any]:
    """Numbers of tracks and segments, and hours of music."""
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
    path: Path, size: int | None, from_line: Callable[[Mapping[str, Any]], Kind], kind: str
) -> Iterator[Kind]:
    for line in read_lines(path, size):
        try:
            record = from_line(line)
        except INVALID as error:
            raise MscolError(
                f"{path}: a line of its {kind} is damaged ({format_invalid(error)}); separate again"
                " with -o"
            ) from None
        yield record


def read_lines(path: Path, size: int | None = None, start: int = 0) -> Iterator[dict[str, Any]]:
    """Read the objects of a JSON lines file.

    Args:
        path: The file; a missing file has no lines.
        size: Number of bytes to read; None reads all.
        start: First byte to read, the start of a line.

    Raises:
        MscolError: A line is damaged.
    """
    content = read_bytes(path, start)[:size] if exists(path) else b""
    for number, line in enumerate(BytesIO(content), 1):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            raise MscolError(f"{path}: line {number} is damaged; separate again with -o") from None


def matches(stamps: Mapping[str, FileStamp], files: Mapping[str, Path]) -> bool:
    """Whether files have the content of their stamps, by role; see `FileStamp.matches`."""
    return stamps.keys() == files.keys() and all(
        stamp.matches(files[role]) for role, stamp in stamps.items()
    )
