"""Embeddings of clips, computed once for each model and version of a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from mscol_cli.audio import Corruption, OnShort, load_corrupted
from mscol_cli.cache.folder import in_use, lock_for_use, vectors_folder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.embedding import ReadClip, embed_groups, read_ahead
from mscol_cli.engine.models import Model
from mscol_cli.engine.vector_header import vector_header
from mscol_cli.engine.waveforms import Waveform, load_waveform
from mscol_cli.errors import BadInputError, MscolError
from mscol_cli.probe.mapped import MAX_BYTES, MappedWindows
from mscol_cli.probe.windows import Windows
from mscol_cli.system.outcomes import warn_short
from mscol_cli.vectors import FileVersion, VectorEntry, VectorFolder, VectorWriter

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class CacheClip:
    """A clip whose embeddings are cached.

    Attributes:
        id: Its name in the cache, unique among all clips of all data.
        name: Its name in messages.
        read: Reads its waveform at a sample rate in Hz, and calls its second argument if a part of
            the audio is missing.
        version: State of its file; None if it cannot be accessed, then nothing is cached.
        sha256: Hash of what determines the waveform; None if the version alone decides.
    """

    id: str
    name: str
    read: Callable[[int, OnShort], Waveform]
    version: FileVersion | None
    sha256: str | None = None

    def is_current(self, entry: VectorEntry) -> bool:
        """Whether an entry has the embeddings of this clip."""
        same = entry.version == self.version and entry.failure is None
        return same and self.sha256 in (None, entry.sha256)


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a list of clips.

    Attributes:
        windows: (windows, dim) float32, concatenated over clips; on disk if they are too large for
            memory.
        counts: (clips,) int64 windows per clip, 0 for a clip that could not be embedded.
        failures: Reason of each failure, by row of the clip.
        shortfalls: Description of missing audio of each other clip that is short, by row.
        silent: Rows of the clips whose mono mix is silent.
    """

    windows: Windows
    counts: NDArray[np.int64]
    failures: Mapping[int, str]
    shortfalls: Mapping[int, str]
    silent: Collection[int] = ()


@contextmanager
def open_cache(model: Model, corruption: Corruption | None = None) -> Iterator[VectorFolder]:
    """Context manager of a model's cached embeddings, which are not pruned meanwhile.

    Corrupted files have a separate folder.
    """
    header = vector_header(model, corruption=corruption.name if corruption else None)
    path = vectors_folder() / header.key
    with in_use(path):
        yield VectorFolder(path, header)


def embed_cached(
    folder: VectorFolder,
    model: Model,
    paths: Sequence[Path],
    progress: Progress,
    corruption: Corruption | None = None,
) -> Embedded:
    """Embed audio files, and cache the embeddings, as `embed_cached_clips` does.

    Args:
        folder: The cache, from `open_cache` for the same model and corruption.
        model: The model.
        paths: Audio files.
        progress: Receives warnings and the progress.
        corruption: Corruption to apply to each file first.
    """

    def decode(path: Path, sample_rate: int, on_short: OnShort) -> Waveform:
        if corruption is None:
            return load_waveform(path, sample_rate, on_short)
        return load_corrupted(path, sample_rate, corruption, on_short)

    versions = map(FileVersion.of, paths)
    clips = [
        CacheClip(version.path if version else "", str(path), partial(decode, path), version)
        for path, version in zip(paths, versions, strict=True)
    ]
    return embed_cached_clips(folder, model, clips, progress)


def embed_cached_clips(
    folder: VectorFolder, model: Model, clips: Sequence[CacheClip], progress: Progress
) -> Embedded:
    """Embed clips, and cache the embeddings.

    Cached embeddings of the same model and clip are reused, also those from before an
    interruption. Clips that failed are retried: the cause may have been a disk, a permission or a
    missing decoder. If the cache cannot be written, mscol warns and embeds without it. Progress
    advances by one per clip.

    Raises:
        MscolError: Embeddings that were written to the cache cannot be read again.
    """
    entries = _find_intact(folder, clips)
    missing = [row for row, entry in enumerate(entries) if entry is None]
    progress.advance(len(clips) - len(missing))
    failures: dict[int, str] = {}
    shortfalls = {
        row: entry.shortfall
        for row, entry in enumerate(entries)
        if entry is not None and entry.shortfall is not None
    }
    silent = {row for row, entry in enumerate(entries) if entry is not None and entry.silent}
    readers = (_reader(row, clips[row], shortfalls, progress) for row in missing)
    with _Cache(folder, progress) as cache:
        waveforms, rows = read_ahead(readers, model.encoder.sample_rate), iter(missing)
        for group in embed_groups(model.encoder, waveforms, device=model.device):
            embedded: dict[int, FloatArray] = {}
            for row, result in zip(islice(rows, len(group)), group, strict=True):
                if isinstance(result, BadInputError):
                    failures[row] = str(result)
                    shortfalls.pop(row, None)
                else:
                    embedded[row] = result.windows
                    if result.silent:
                        silent.add(row)
            # Complete groups only: the same command then resumes with the same groups.
            added = {row: (clips[row], shortfalls.get(row), row in silent) for row in embedded}
            cache.add(added, embedded)
            progress.advance(len(group))
    folder.refresh()
    for row, name in cache.stored.items():
        entries[row] = _reread(folder, name)
    windows, counts = _joined(folder, entries, cache.unstored)
    return Embedded(windows, counts, failures, shortfalls, silent)


def _reader(
    row: int, clip: CacheClip, shortfalls: dict[int, str], progress: Progress
) -> tuple[str, ReadClip]:
    """Name and reader of a clip. The reader records missing audio, and warns of it."""

    def on_short(shortfall: str) -> None:
        shortfalls[row] = shortfall
        warn_short(progress.warn, clip.name, shortfall)

    return clip.name, lambda sample_rate: clip.read(sample_rate, on_short)


def _find_intact(folder: VectorFolder, clips: Sequence[CacheClip]) -> list[VectorEntry | None]:
    """Cached vectors of clips; None if they are missing or damaged, or of another version."""
    entries = [folder.find(clip.id) for clip in clips]
    found = [
        entry if entry is not None and clip.is_current(entry) else None
        for entry, clip in zip(entries, clips, strict=True)
    ]
    damaged = folder.damaged([entry for entry in found if entry is not None])
    return [None if entry is None or entry.id in damaged else entry for entry in found]


def _reread(folder: VectorFolder, name: str) -> VectorEntry:
    entry = folder.find(name)
    if entry is None or not folder.holds(entry):
        raise MscolError(
            f"{folder.path} lost embeddings that were written to it: set MSCOL_CACHE to a folder on"
            " a local disk."
        )
    return entry


class _Cache:
    """A folder of vectors; after a failed write, nothing more is written.

    Attributes:
        stored: Ids of the clips whose vectors are in the folder, by row.
        unstored: Vectors that are not, by row.
    """

    def __init__(self, folder: VectorFolder, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self._writer: VectorWriter | None = None
        self._works = True
        self._waiting: dict[int, str] = {}
        self.stored: dict[int, str] = {}
        self.unstored: dict[int, FloatArray] = {}

    def add(
        self,
        clips: Mapping[int, tuple[CacheClip, str | None, bool]],
        embedded: Mapping[int, FloatArray],
    ) -> None:
        """Add clips, each with its missing audio and silence, and their windows, by row."""
        # Vectors are kept until they are on disk.
        self.unstored |= embedded
        if not self._works:
            return
        with self._or_warning():
            if self._writer is None:
                self._writer = VectorWriter(self._folder)
            for row, (clip, shortfall, silent) in clips.items():
                if clip.version is not None:
                    self._writer.add(
                        clip.id,
                        clip.version,
                        embedded[row],
                        sha256=clip.sha256,
                        shortfall=shortfall,
                        silent=silent,
                    )
                    self._waiting[row] = clip.id
            if self._writer.flush(only_if_due=True):
                self._flushed()

    def __enter__(self) -> _Cache:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            with self._or_warning():
                self._writer.close()
                if self._works:
                    self._flushed()

    def _flushed(self) -> None:
        for row in self._waiting:
            del self.unstored[row]
        self.stored |= self._waiting
        self._waiting.clear()

    @contextmanager
    def _or_warning(self) -> Iterator[None]:
        try:
            yield
        except (OSError, MscolError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            if self._works:
                folder = self._folder.path.parent
                self._progress.warn(f"embeddings cannot be cached in {folder} ({reason}).")
            self._works = False


def _joined(
    folder: VectorFolder,
    entries: Sequence[VectorEntry | None],
    unstored: Mapping[int, FloatArray],
) -> tuple[Windows, NDArray[np.int64]]:
    """Windows of all files, and the number of windows of each."""
    shards = sorted({entry.shard for entry in entries if entry is not None})
    empty = np.zeros((0, folder.header.dim), np.float32)
    # Last, the windows that are only in memory.
    sources = [*map(folder.mapped, shards), np.concatenate([empty, *unstored.values()])]
    starts = np.cumsum([0, *map(len, sources)])
    start_of = dict(zip(shards, starts.tolist(), strict=False))
    firsts, counts = np.zeros((2, len(entries)), np.int64)
    for row, entry in enumerate(entries):
        if entry is not None:
            firsts[row], counts[row] = start_of[entry.shard] + entry.row, entry.rows
    first = int(starts[-2])
    for row, windows in unstored.items():
        firsts[row], counts[row] = first, len(windows)
        first += len(windows)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    mapped = MappedWindows(sources, np.repeat(firsts, counts) + within)
    if mapped.nbytes <= MAX_BYTES:
        return mapped.load(), counts
    if (lock := lock_for_use(folder.path)) is not None:
        finalize(mapped, lock.release)
    return mapped, counts
