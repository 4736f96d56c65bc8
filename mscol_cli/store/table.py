"""The index of a sealed store as columns, which hold 100,000 tracks where objects would not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mscol_cli.contracts.plans import IntArray
from mscol_cli.errors import MscolError
from mscol_cli.store.records import read_lines

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TrackTable:
    """One row per track, in the order of the ids; fields are those of `TrackRecord`.

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


def only_tracks(table: TrackTable, ids: Iterable[str]) -> TrackTable:
    """The rows of some tracks; ids that no row has are passed over."""
    wanted = set(ids)
    rows = np.array([row for row, name in enumerate(table.ids) if name in wanted], dtype=np.int64)
    columns = {item.name: getattr(table, item.name) for item in fields(table)}
    del columns["ids"]
    kept = {name: column[rows] for name, column in columns.items()}
    return TrackTable(tuple(table.ids[row] for row in rows), **kept)


def read_table(path: Path, sources: Sequence[str]) -> TrackTable:
    """Read `tracks.jsonl`; of several records of one track the last counts.

    Raises:
        MscolError: A line is damaged.
    """
    try:
        rows = {track["id"]: _row(track, sources) for track in read_lines(path)}
    except (KeyError, TypeError):
        raise MscolError(f"{path} lacks fields of its tracks; separate again with -o") from None
    ids = tuple(sorted(rows))
    numbers = np.array([rows[name][0] for name in ids], dtype=np.int64).reshape(len(ids), 4)
    shape = (len(ids), len(sources))
    return TrackTable(
        ids,
        shard=numbers[:, 0],
        samples=numbers[:, 1],
        segments=numbers[:, 2],
        level_row=numbers[:, 3],
        offset=np.array([rows[name][1] for name in ids], dtype=np.int64).reshape(shape),
        gain=np.array([rows[name][2] for name in ids], dtype=np.float64).reshape(shape),
        norm=np.array([rows[name][3] for name in ids], dtype=np.float64).reshape(shape),
    )


def _row(track: Mapping[str, Any], sources: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    placed = [track["sources"][name] for name in sources]
    return (
        (track["shard"], track["samples"], track["segments"], track["level_row"]),
        tuple(source["offset"] for source in placed),
        tuple(source["gain"] for source in placed),
        tuple(source["norm"] for source in placed),
    )
