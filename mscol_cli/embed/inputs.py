"""The clips of audio files, folders and stores: what `embed` and `tag` take as INPUT."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mscol_cli.audio import AudioListing, OnShort, check_unique, find_audio
from mscol_cli.audio.mono import PIECE, resampled_pieces
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.engine.embedding import Clip
from mscol_cli.engine.waveforms import Waveform, load_waveform, read_or_measure
from mscol_cli.errors import BadInputError, UnreadableInputError, UsageError
from mscol_cli.store import SAMPLE_RATE, Store
from mscol_cli.store.header import HEADER, TRACKS
from mscol_cli.store.records import TrackRecord, newest, read_tracks
from mscol_cli.system.files import absolute_path, file_hash, is_regular
from mscol_cli.system.outcomes import Failures, input_failure
from mscol_cli.vectors import FileVersion, VectorEntry

Known = tuple[NDArray[np.float32], VectorEntry]
FindKnown = Callable[[str | None], Known | None]
SILENT = "the source is silent"
"""End of the reason why a track has no vector of a source that it lacks. This is not a failure."""


@dataclass(frozen=True)
class Input:
    """A clip of an input.

    Attributes:
        id: Its name, unique among the inputs.
        path: The audio file, or the store.
        version: State of the file; None if it cannot be accessed.
        sha256: Hash of the record of a track; None for a file, which is hashed when it is read.
        track: Reads a track of a store at a sample rate; None for a file.
    """

    id: str
    path: Path
    version: FileVersion | None
    sha256: str | None = None
    track: Callable[[int], Waveform] | None = None

    @property
    def name(self) -> str:
        """Name in messages."""
        return str(self.path) if self.track is None else f"{self.path}: track {self.id}"

    def read(self, sample_rate: int, on_short: OnShort | None = None) -> Waveform:
        """Read the waveform at a sample rate in Hz; `on_short` as for `load_waveform`.

        Raises:
            BadInputError: It cannot be read, or the track lacks the source (`SILENT`).
        """
        if self.track is None:
            return load_waveform(self.path, sample_rate, on_short)
        waveform = self.track(sample_rate)
        if isinstance(waveform, np.ndarray) and not waveform.any():
            raise BadInputError(f"{self.name}: {SILENT}")
        return waveform

    def is_current(self, entry: VectorEntry) -> bool:
        """Whether an entry has the vectors of this version, or is known to be silent."""
        if entry.version != self.version or (entry.failure is not None and not is_silent(entry)):
            return False
        return self.track is None or entry.sha256 == self.sha256


@dataclass(frozen=True)
class Loaded:
    """A clip that was read, or failed.

    Attributes:
        input: The input.
        version: State of the file when it was read.
        sha256: SHA-256 of the file, or of the record of a track; None if it cannot be read.
        clip: The clip or its failure; None if its vectors are known.
        known: Vectors of the same content, and their entry.
        shortfall: Description of audio that the decoder missed; None if it missed none.
    """

    input: Input
    version: FileVersion | None
    sha256: str | None
    clip: Clip | BadInputError | None
    known: Known | None = None
    shortfall: str | None = None


@dataclass(frozen=True)
class Inputs:
    """Clips of inputs.

    Attributes:
        clips: Files in the order of the inputs, then tracks of stores.
        roots: The inputs themselves; files below them that are not in `clips` have vanished.
        unlisted: Folders that could not be listed, with the reason.
    """

    clips: Sequence[Input]
    roots: Sequence[Path]
    unlisted: Failures

    def has_lost(self, entry: VectorEntry) -> bool:
        """Whether the file of an entry, which is not in `clips`, has vanished from the inputs."""
        unlisted = tuple(name for name, _ in self.unlisted)
        path = Path(entry.path)
        if entry.id.startswith(unlisted) or not any(
            root in (path, *path.parents) for root in self.roots
        ):
            return False
        # A file that exists and is not listed is new: another process has just embedded it.
        return path.is_dir() or not path.exists() or path in self._paths

    @cached_property
    def _paths(self) -> set[Path]:
        return {absolute_path(clip.path) for clip in self.clips}


def is_silent(entry: VectorEntry) -> bool:
    """Whether a track has no vector because it lacks the source."""
    return entry.failure is not None and is_silent_reason(entry.failure)


def is_silent_reason(reason: str) -> bool:
    """Whether a reason why a track has no vector is that it lacks the source."""
    return reason.endswith(SILENT)


def find_inputs(paths: Sequence[Path], source: str) -> Inputs:
    """List the clips of files, folders and stores.

    Args:
        paths: Audio files, folders to search, sealed stores.
        source: Source of the stores; another than the mixture excludes files.

    Raises:
        UsageError: Two clips have the same id, or a store lacks the source.
        MissingDataError: An input does not exist, or no input holds audio.
    """
    stores = [Store.open(path) for path in paths if is_regular(path / HEADER)]
    others = [path for path in paths if not is_regular(path / HEADER)]
    if source != MIXTURE and others:
        raise UsageError(f"--source {source} takes stores only, and {others[0]} is not a store.")
    listing = find_audio(others) if others or not stores else AudioListing()
    clips = [Input(file.name, file.path, FileVersion.of(file.path)) for file in listing.files]
    clips += [clip for store in stores for clip in _tracks(store, source)]
    check_unique((clip.id, clip.path) for clip in clips)
    return Inputs(clips, list(map(absolute_path, paths)), list(listing.failures))


def load(one: Input, sample_rate: int, find: FindKnown) -> Loaded:
    """Read a clip. Any exception becomes its failure.

    Args:
        one: The input.
        sample_rate: Sample rate of the waveform in Hz.
        find: Finds the vectors of a SHA-256; a file whose vectors are known is not decoded.
    """
    version, digest = one.version, one.sha256
    shortfalls: list[str] = []
    try:
        if one.track is None:
            version, digest = FileVersion.of(one.path), _hash(one.path)
        if version is not None and (known := find(digest)) is not None:
            return Loaded(one, version, digest, None, known)
        waveform = one.read(sample_rate, shortfalls.append)
        if one.track is None and FileVersion.of(one.path) != version:
            raise UnreadableInputError(f"{one.path}: changed while it was read; try again")
    except Exception as error:
        return Loaded(one, version, digest, input_failure(one.name, error))
    clip = Clip(one.name, waveform)
    return Loaded(one, version, digest, clip, shortfall=next(iter(shortfalls), None))


def _hash(path: Path) -> str | None:
    try:
        return file_hash(path)
    except OSError:  # the decoder gives a better reason
        return None


def _tracks(store: Store, source: str) -> Iterator[Input]:
    names = store.header.sources
    if source not in names:
        raise UsageError(f"{store.path} has no source '{source}': use {', '.join(names)}.")
    column = names.index(source)
    records = newest(read_tracks(store.path / TRACKS))
    for row, (name, samples) in enumerate(
        zip(store.index.track_ids, store.track_samples.tolist(), strict=True)
    ):
        version = FileVersion(str(absolute_path(store.path)), 2 * samples, 0)
        digest = track_hash(store, records[name], source)
        yield Input(name, store.path, version, digest, partial(_waveform, store, row, column))


def track_hash(store: Store, record: TrackRecord, source: str) -> str:
    """Hash of what determines the samples of a track: its input files and the separator."""
    files = {role: stamp.sha256 for role, stamp in record.files.items()}
    content = [files, asdict(store.header.separator), source, record.sources[source].gain]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _waveform(store: Store, row: int, column: int, sample_rate: int) -> Waveform:
    return read_or_measure(partial(_pieces, store, row, column, sample_rate))


def _pieces(store: Store, row: int, column: int, sample_rate: int) -> Iterator[NDArray[np.float32]]:
    return resampled_pieces(store.pieces(row, column, PIECE), SAMPLE_RATE, sample_rate)
