"""The index of a sealed store as columns, which hold 100,000 tracks where objects would not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.contracts.plans import IntArray
from mscol_cli.errors import MscolError
from mscol_cli.store.records import SourceRecord, TrackRecord, read_tracks

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TrackTable:
    """One row per track, in the order of the ids; a column for each field of that name of
    `TrackRecord`, (tracks,), or of `SourceRecord`, (tracks, sources).

    Attributes:
        ids: Names of the tracks.
        shard: (tracks,)
        samples: (tracks,)
        segments: (tracks,)
        level_row: (tracks,)
        offset: (tracks, sources)
        gain: (tracks, sources)
        norm: (tracks, sources)
    """

    ids: tuple[str, ...]
    shard: IntArray
    samples: IntArray
    segments: IntArray
    level_row: IntArray
    offset: IntArray
    gain: FloatArray
    norm: FloatArray


_COLUMNS = [item for item in fields(TrackTable) if item.name != "ids"]
_OF_SOURCES = {item.name for item in fields(SourceRecord)}
_DTYPES = {"IntArray": np.int64, "FloatArray": np.float64}


def only_tracks(table: TrackTable, ids: Iterable[str]) -> TrackTable:
    """The rows of some tracks; ids that no row has are passed over."""
    wanted = set(ids)
    rows = np.array([row for row, name in enumerate(table.ids) if name in wanted], dtype=np.int64)
    columns = {item.name: getattr(table, item.name)[rows] for item in _COLUMNS}
    return TrackTable(tuple(table.ids[row] for row in rows), **columns)


def read_table(path: Path, sources: Sequence[str]) -> TrackTable:
    """Read `tracks.jsonl`; of several records of one track the last counts.

    Raises:
        MscolError: A line is damaged.
    """
    try:
        rows = {track.id: _row(track, sources) for track in read_tracks(path)}
    except KeyError as error:
        raise MscolError(f"{path} lacks source {error}; separate again with -o") from None
    ids = tuple(sorted(rows))
    columns: dict[str, Any] = {}
    for number, item in enumerate(_COLUMNS):
        values = np.array([rows[name][number] for name in ids], dtype=_DTYPES[str(item.type)])
        shape = (len(ids), len(sources)) if item.name in _OF_SOURCES else (len(ids),)
        columns[item.name] = values.reshape(shape)
    return TrackTable(ids, **columns)


def _row(track: TrackRecord, sources: Sequence[str]) -> list[Any]:
    placed = [track.sources[name] for name in sources]
    return [
        [getattr(source, item.name) for source in placed]
        if item.name in _OF_SOURCES
        else getattr(track, item.name)
        for item in _COLUMNS
    ]
