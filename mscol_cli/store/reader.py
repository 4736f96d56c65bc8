"""Reading a sealed store: index, crops and waveforms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mscol_cli.contracts.levels import Level, level_factor
from mscol_cli.contracts.plans import Crops, IntArray, StoreIndex
from mscol_cli.errors import MscolError
from mscol_cli.store.arrays import INT16_PEAK, open_levels
from mscol_cli.store.header import (
    HEADER,
    LEVELS,
    TRACKS,
    StoreHeader,
    read_sealed,
    require_files,
)
from mscol_cli.store.records import read_tracks
from mscol_cli.store.segments import ACTIVE_LEVEL, SAMPLE_RATE, SEGMENT, STEP
from mscol_cli.store.shards import Shards
from mscol_cli.store.table import TrackTable, only_tracks, read_table
from mscol_cli.system.files import real_path


class Store:
    """A sealed store, opened for reading. Shards are memory-mapped when they are read.

    Attributes:
        path: Folder of the store.
        header: Content of `store.json`.
    """

    def __init__(self, path: Path, header: StoreHeader, table: TrackTable) -> None:
        self.path = path
        self.header = header
        self._table = table
        self._shards = Shards(path)
        self._scales: dict[Level, NDArray[np.float32]] = {}

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Store:
        """Open a sealed store.

        Raises:
            MissingDataError: The store does not exist, is not sealed, or lacks a file.
            UsageError: The layout is that of another version.
        """
        path = Path(path)
        header = read_sealed(path)
        require_files(path, header.checksums)
        return Store(path, header, read_table(path / TRACKS, header.sources))

    def only(self, ids: Iterable[str]) -> Store:
        """A view of some tracks of the store; unknown ids are ignored."""
        return Store(self.path, self.header, only_tracks(self._table, ids))

    @property
    def hash(self) -> str:
        """Hash of the contents, hex."""
        return self.header.hash

    @cached_property
    def index(self) -> StoreIndex:
        """Tracks, sorted by id, and their segments: the information available to objectives."""
        segments, levels = self._table.segments, self._levels()
        track = np.repeat(np.arange(len(segments)), segments)
        within = np.arange(len(track)) - np.repeat(np.cumsum(segments) - segments, segments)
        levels = levels[np.repeat(self._table.level_row, segments) + within]
        return StoreIndex(
            sources=self.header.sources,
            sample_rate=SAMPLE_RATE,
            track_ids=self._table.ids,
            track_samples=self._table.samples,
            segment_track=track.astype(np.int64),
            segment_start=within * STEP,
            segment_samples=np.repeat(np.minimum(self._table.samples, SEGMENT), segments),
            segment_level=levels[..., 0],
            published_level=levels[..., 1],
        )

    def _levels(self) -> NDArray[np.float32]:
        """The levels of all segments, (rows, sources, 2). Raises MscolError if they do not have the
        rows and sources that the tracks refer to."""
        levels = open_levels(self.path / LEVELS)
        first, segments, rows = self._table.level_row, self._table.segments, len(levels)
        shape = (len(self.header.sources), 2)
        # Subtracted, as the sum of damaged numbers may overflow.
        inside = (first >= 0) & (segments >= 0) & (segments <= rows) & (first <= rows - segments)
        fits = levels.shape[1:] == shape and bool(inside.all())
        if not fits:
            raise MscolError(
                f"{self.path / LEVELS} does not fit {TRACKS} and {HEADER}: restore the store, or"
                " separate again with -o"
            )
        return levels

    def active_shares(self) -> dict[str, float]:
        """Share of active segments (mean |x| above 0.01), by source."""
        shares = (self.index.segment_level > ACTIVE_LEVEL).mean(axis=0)
        return dict(zip(self.index.sources, shares.tolist(), strict=True))

    def gather(
        self, crops: Crops, samples: int, level: Level = "norm"
    ) -> tuple[NDArray[np.int16] | NDArray[np.float32], NDArray[np.float32]]:
        """Cut crops out of the shards.

        Args:
            crops: Tracks, sources and non-negative start samples, (batch,) each.
            samples: Length of every crop; crops beyond the end of a track are padded with zeros.
            level: Level that the complete clip is scaled to, for each source separately.

        Returns:
            Crops, (batch, samples) int16, and the factors that scale them to the level, (batch,).
            Crops with gains are float32 at the level already, and their factors 1.
        """
        if crops.gains is not None:
            return self._mix(crops, crops.gains, samples, level), np.ones(len(crops.track), "f4")
        cut = np.zeros((len(crops.track), samples), dtype=np.int16)
        length = np.clip(self._table.samples[crops.track] - crops.start, 0, samples).tolist()
        first = (self._table.offset[crops.track, crops.source] + crops.start).tolist()
        shards = self._table.shard[crops.track].tolist()
        for row, crop in enumerate(self._shards.crops(zip(shards, first, length, strict=True))):
            cut[row, : length[row]] = crop
        return cut, self.factors(level)[crops.track, crops.source]

    def _mix(
        self, crops: Crops, gains: NDArray[np.float32], samples: int, level: Level
    ) -> NDArray[np.float32]:
        factors = self.mix_factors(crops.track, gains, level)
        mix = np.zeros((len(crops.track), samples), dtype=np.float32)
        for source in range(factors.shape[1]):
            rows = np.flatnonzero(factors[:, source])
            of_source = Crops(crops.track[rows], np.full(len(rows), source), crops.start[rows])
            mix[rows] += self.gather(of_source, samples)[0] * factors[rows, source, None]
        return mix

    def mix_factors(
        self, track: IntArray, gains: NDArray[np.float32], level: Level
    ) -> NDArray[np.float32]:
        """Factors of stored samples whose sum over sources is a mixture at a level.

        The norm of the complete mixture is computed from the norms of its sources as if they were
        uncorrelated, which is exact for one source.

        Args:
            track: (batch,) rows of tracks.
            gains: (batch, sources).
            level: Level of the mixture.

        Returns:
            (batch, sources).
        """
        table = self._table
        norm = np.linalg.norm(gains * table.norm[track], axis=1)
        factor = gains * level_factor(level, norm, table.samples[track])[:, None]
        factors: NDArray[np.float32] = (table.gain[track] * factor).astype(np.float32)
        return factors

    def waveform(self, track: int, source: int = 0) -> NDArray[np.float32]:
        """A source of a track before level normalisation, (samples,)."""
        gain = np.float32(self._table.gain[track, source])
        waveform: NDArray[np.float32] = self.stored(track, source) * gain
        return waveform

    def pieces(self, track: int, source: int, size: int) -> Iterator[NDArray[np.float32]]:
        """`waveform` in consecutive pieces of at most `size` samples."""
        stored, gain = self.stored(track, source), np.float32(self._table.gain[track, source])
        return (stored[start : start + size] * gain for start in range(0, len(stored), size))

    def stored(self, track: int, source: int = 0) -> NDArray[np.int16]:
        """A source of a track as stored, (samples,) int16, memory-mapped."""
        table = self._table
        first = table.offset[track, source]
        shard = self._shards.samples(int(table.shard[track]))
        return shard[first : first + table.samples[track]]

    @property
    def track_samples(self) -> NDArray[np.int64]:
        """Lengths of the tracks in samples, (tracks,)."""
        return self._table.samples

    def file_sizes(self) -> dict[str, set[int]]:
        """Sizes in bytes of the input files of each track, by track id."""
        return {
            track.id: {stamp.size for stamp in track.files.values()}
            for track in read_tracks(self.path / TRACKS)
        }

    def peak(self, track: int) -> float:
        """Maximum |x| over all sources of a track, before level normalisation."""
        return float(self._table.gain[track].max()) * INT16_PEAK

    def factors(self, level: Level) -> NDArray[np.float32]:
        """Factors that scale stored samples to a level, (tracks, sources)."""
        if level not in self._scales:
            table = self._table
            factor = level_factor(level, table.norm, table.samples[:, None])
            self._scales[level] = (table.gain * factor).astype(np.float32)
        return self._scales[level]


def store_beside(folder: Path) -> Path:
    """Default store of a folder of music: `DIR.store` beside `DIR`."""
    # Keep the name of a symbolic link; `.` and `..` have no name.
    named = folder if folder.name not in ("", "..") else real_path(folder)
    return named.parent / f"{named.name}.store"


def sealed_stores(folder: Path) -> list[Path]:
    """The sealed stores directly in a folder, newest first."""
    headers = folder.glob(f"*/{HEADER}")
    newest_first = sorted(headers, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [header.parent for header in newest_first if _is_sealed(header.parent)]


def _is_sealed(folder: Path) -> bool:
    try:
        return StoreHeader.read(folder).sealed
    except MscolError:
        return False
