"""The index of a sealed store as columns, which need less memory than objects."""

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
    """One row per track, sorted by id. Columns are fields of `TrackRecord` and `SourceRecord`.

    Attributes:
        ids: Track ids.
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
_SOURCE_COLUMNS = {item.name for item in fields(SourceRecord)}
_DTYPES = {"IntArray": np.int64, "FloatArray": np.float64}


def only_tracks(table: TrackTable, ids: Iterable[str]) -> TrackTable:
    """The rows of some tracks; unknown ids are ignored."""
    wanted = set(ids)
    rows = np.array([row for row, name in enumerate(table.ids) if name in wanted], dtype=np.int64)
    columns = {item.name: getattr(table, item.name)[rows] for item in _COLUMNS}
    return TrackTable(tuple(table.ids[row] for row in rows), **columns)


def read_table(path: Path, sources: Sequence[str]) -> TrackTable:
    """Read `tracks.jsonl`; the last of several records of a track replaces the others.

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
        shape = (len(ids), len(sources)) if item.name in _SOURCE_COLUMNS else (len(ids),)
        columns[item.name] = values.reshape(shape)
    return TrackTable(ids, **columns)


def _row(track: TrackRecord, sources: Sequence[str]) -> list[Any]:
    records = [track.sources[name] for name in sources]
    return [
        [getattr(record, item.name) for record in records]
        if item.name in _SOURCE_COLUMNS
        else getattr(track, item.name)
        for item in _COLUMNS
    ]
