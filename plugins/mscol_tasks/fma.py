"""FMA-small, read from `tracks.csv` and the folders of its archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.api import (
    NoOptions,
    ProbeProtocol,
    Split,
    Task,
    TaskData,
    TaskItem,
)
from mscol_tasks.files import absence_notes, with_audio
from mscol_tasks.tables import Row, distinct, read_table

SPLITS: dict[str, Split] = {"training": "train", "validation": "valid", "test": "test"}
SUBSETS = ("", "small", "medium", "large")
# Files of the archive without audio.
EMPTY = frozenset({"099134", "108925", "133297"})
# Files with at most two of the 30 seconds.
SHORT = frozenset({"098565", "098567", "098569"})
SPLIT, SUBSET, GENRE, ARTIST = "set.split", "set.subset", "track.genre_top", "artist.id"
ID = "track_id"


@dataclass(frozen=True)
class _Track:
    id: str
    split: Split
    genre: str
    artist: str


class FmaSmall(Task):
    """The top genre of 30 s clips.

    Layout: `DATA/fma_metadata/tracks.csv`, whose two header rows name each column by group and
    field, and `DATA/fma_small/000/000002.mp3`; clips may also have another audio format. It uses
    the tracks of subset `small` with their split, and genres in alphabetical order.
    """

    protocol = ProbeProtocol(learning_rate=5e-4)

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def load(self, folder: Path) -> TaskData:
        """Read the table and find the clips."""
        path = folder / "fma_metadata" / "tracks.csv"
        _, rows = read_table(path, ",", (ID, SPLIT, SUBSET, GENRE), header_rows=2, index=ID)
        tracks = list(distinct(_small_tracks(rows), ID))
        classes = tuple(sorted({track.genre for track in tracks if track.genre}))
        named = [
            TaskItem(
                track.id,
                _audio(folder, track.id),
                track.split,
                (classes.index(track.genre),),
                {"artist": track.artist} if track.artist else {},
            )
            for track in tracks
            if track.genre and track.id not in EMPTY
        ]
        items, missing = with_audio(named, folder)
        return TaskData(
            classes, items, missing, [*_left_out(tracks), *absence_notes(classes, items)]
        )


def _audio(folder: Path, track: str) -> Path:
    return folder / "fma_small" / track[:3] / f"{track}.mp3"


def _small_tracks(rows: Iterable[Row]) -> Iterator[tuple[Row, str, _Track]]:
    for row in rows:
        track = f"{row.whole(ID):06d}"
        if _subset(row) == "small":
            artist = row.text(ARTIST) if ARTIST in row else ""
            yield row, track, _Track(track, _split(row), row.text(GENRE), artist)


def _subset(row: Row) -> str:
    subset = row.text(SUBSET)
    if subset not in SUBSETS:
        raise row.problem(SUBSET, f"'{subset}' is not one of {', '.join(SUBSETS[1:])}")
    return subset


def _split(row: Row) -> Split:
    split = row.text(SPLIT)
    if split not in SPLITS:
        raise row.problem(SPLIT, f"'{split}' is not one of {', '.join(SPLITS)}")
    return SPLITS[split]


def _left_out(tracks: Sequence[_Track]) -> list[str]:
    empty = sorted(track.id for track in tracks if track.id in EMPTY)
    short = sorted(track.id for track in tracks if track.id in SHORT)
    bare = sum(not track.genre for track in tracks)
    notes = [f"excluded, known to hold no audio: tracks {', '.join(empty)}"] if empty else []
    notes += [f"known to be cut short: tracks {', '.join(short)}"] if short else []
    return notes + ([f"excluded, without a top genre: {bare} tracks"] if bare else [])
