"""The index of a sealed store as columns, which need less memory than objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.contracts.plans import IntArray
from mscol_cli.errors import MscolError
from mscol_cli.store.records import SourceRecord, read_tracks

Float64Array = NDArray[np.float64]


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
    gain: Float64Array
    norm: Float64Array


_COLUMNS = [item for item in fields(TrackTable) if item.name != "ids"]
_SOURCE_COLUMNS = {item.name for item in fields(SourceRecord)}
_TYPE_CODES = {"IntArray": "q", "Float64Array": "d"}


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
    columns = {item.name: array(_TYPE_CODES[str(item.type)]) for item in _COLUMNS}
    latest: dict[str, int] = {}
    for row, track in enumerate(read_tracks(path)):
        latest[track.id] = row
        try:
            records = [track.sources[name] for name in sources]
        except KeyError as error:
            raise MscolError(f"{path} lacks source {error}; separate again with -o") from None
        for name, values in columns.items():
            owners = records if name in _SOURCE_COLUMNS else [track]
            values.extend(getattr(owner, name) for owner in owners)
    ids = tuple(sorted(latest))
    rows = np.array([latest[name] for name in ids], dtype=np.int64)
    return TrackTable(
        ids, **{name: _by_track(name, columns[name], sources)[rows] for name in columns}
    )


def _by_track(name: str, values: array[Any], sources: Sequence[str]) -> NDArray[Any]:
    """A column, (tracks,) or (tracks, sources)."""
    column = np.array(values)
    return column.reshape(-1, len(sources)) if name in _SOURCE_COLUMNS else column
