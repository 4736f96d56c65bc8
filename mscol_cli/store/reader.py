"""Reading a sealed store: its index, and crops of its waveforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.contracts.levels import Level, level_factor
from mscol_cli.contracts.plans import Crops, StoreIndex
from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.store.arrays import INT16_PEAK
from mscol_cli.store.header import HEADER, LEVELS, TRACKS, StoreHeader, read_sealed, shard_name
from mscol_cli.store.records import read_tracks
from mscol_cli.store.segments import ACTIVE_LEVEL, SAMPLE_RATE, SEGMENT, STEP
from mscol_cli.store.table import TrackTable, only_tracks, read_table
from mscol_cli.system.files import real_path


class Store:
    """A sealed store, opened for reading. Shards are memory-mapped when first touched.

    Attributes:
        path: Its folder.
        header: What `store.json` says.
    """

    def __init__(self, path: Path, header: StoreHeader, table: TrackTable) -> None:
        self.path = path
        self.header = header
        self._table = table
        self._shards: dict[int, NDArray[np.int16]] = {}
        self._scales: dict[Level, NDArray[np.float32]] = {}

    @staticmethod
    def open(path: Path) -> Store:
        """Open a sealed store.

        Raises:
            MissingDataError: There is no store, it is not finished, or one of its files is gone.
            UsageError: It has the layout of another mscol.
        """
        header = read_sealed(path)
        gone = [name for name in header.checksums if not (path / name).is_file()]
        if gone:
            raise MissingDataError(f"{path} lacks {gone[0]}: restore it, or separate again with -o")
        return Store(path, header, read_table(path / TRACKS, header.sources))

    def only(self, ids: Iterable[str]) -> Store:
        """The same store as if it held but some of its tracks; other ids are passed over."""
        return Store(self.path, self.header, only_tracks(self._table, ids))

    @property
    def hash(self) -> str:
        """Identifies what the store holds, hex."""
        return self.header.hash

    @cached_property
    def index(self) -> StoreIndex:
        """What an objective may know; tracks are in the order of their ids."""
        segments = self._table.segments
        track = np.repeat(np.arange(len(segments)), segments)
        within = np.arange(len(track)) - np.repeat(np.cumsum(segments) - segments, segments)
        levels = _load(self.path / LEVELS)
        levels = levels[np.repeat(self._table.level_row, segments) + within]
        whole = np.repeat(np.minimum(self._table.samples, SEGMENT), segments)
        return StoreIndex(
            sources=self.header.sources,
            sample_rate=SAMPLE_RATE,
            track_ids=self._table.ids,
            track_samples=self._table.samples,
            segment_track=track.astype(np.int64),
            segment_start=within * STEP,
            segment_samples=whole,
            segment_level=levels[..., 0],
            published_level=levels[..., 1],
        )

    def active_shares(self) -> dict[str, float]:
        """By source, the share of segments in which it sounds (mean |x| above 0.01)."""
        shares = (self.index.segment_level > ACTIVE_LEVEL).mean(axis=0)
        return dict(zip(self.index.sources, shares.tolist(), strict=True))

    def gather(
        self, crops: Crops, samples: int, level: Level = "norm"
    ) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Cut crops out of the shards.

        Args:
            crops: Where to cut, (batch,) each; starts are not negative.
            samples: Length of every crop; zeros follow where a track ends before.
            level: What the whole clip is scaled to, each source on its own.

        Returns:
            (batch, samples) int16, and (batch,) the factor that makes them waveforms at that level.
        """
        cut = np.zeros((len(crops.track), samples), dtype=np.int16)
        length = np.clip(self._table.samples[crops.track] - crops.start, 0, samples).tolist()
        first = (self._table.offset[crops.track, crops.source] + crops.start).tolist()
        for row, shard in enumerate(self._table.shard[crops.track].tolist()):
            cut[row, : length[row]] = self._open(shard)[first[row] : first[row] + length[row]]
        return cut, self.factors(level)[crops.track, crops.source]

    def waveform(self, track: int, source: int = 0) -> NDArray[np.float32]:
        """A whole source of a track as it was before any level normalisation: (samples,)."""
        gain = np.float32(self._table.gain[track, source])
        waveform: NDArray[np.float32] = self.stored(track, source) * gain
        return waveform

    def pieces(self, track: int, source: int, size: int) -> Iterator[NDArray[np.float32]]:
        """`waveform`, at most `size` samples at a time."""
        stored, gain = self.stored(track, source), np.float32(self._table.gain[track, source])
        return (stored[start : start + size] * gain for start in range(0, len(stored), size))

    def stored(self, track: int, source: int = 0) -> NDArray[np.int16]:
        """A whole source of a track as it lies in its shard: (samples,) int16, memory-mapped."""
        table = self._table
        first = table.offset[track, source]
        return self._open(int(table.shard[track]))[first : first + table.samples[track]]

    @property
    def track_samples(self) -> NDArray[np.int64]:
        """(tracks,) lengths in samples."""
        return self._table.samples

    def file_sizes(self) -> dict[str, set[int]]:
        """By track id, the sizes in bytes of the files that the track was made of."""
        return {
            track.id: {stamp.size for stamp in track.files.values()}
            for track in read_tracks(self.path / TRACKS)
        }

    def peak(self, track: int) -> float:
        """The largest |x| among all sources of a track, before any level normalisation."""
        return float(self._table.gain[track].max()) * INT16_PEAK

    def factors(self, level: Level) -> NDArray[np.float32]:
        """(tracks, sources), what makes stored samples waveforms at a level."""
        if level not in self._scales:
            table = self._table
            factor = level_factor(level, table.norm, table.samples[:, None])
            self._scales[level] = (table.gain * factor).astype(np.float32)
        return self._scales[level]

    def _open(self, shard: int) -> NDArray[np.int16]:
        if shard not in self._shards:
            self._shards[shard] = _load(self.path / shard_name(shard))
        return self._shards[shard]


def _load(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise MscolError(f"{path}: cannot be read ({error}); separate again") from None
    return array


def store_beside(folder: Path) -> Path:
    """Where the store of a folder of music lies by default: `DIR.store` beside `DIR`."""
    # A link keeps its own name and place; `.` and `..` have none.
    named = folder if folder.name not in ("", "..") else real_path(folder)
    return named.parent / f"{named.name}.store"


def sealed_stores(folder: Path) -> list[Path]:
    """The sealed stores directly in a folder, newest first."""
    headers = sorted(folder.glob(f"*/{HEADER}"), key=_changed, reverse=True)
    return [header.parent for header in headers if _is_sealed(header.parent)]


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns


def _is_sealed(folder: Path) -> bool:
    try:
        return StoreHeader.read(folder).sealed
    except MscolError:
        return False
