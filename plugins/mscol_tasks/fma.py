"""FMA-small from `tracks.csv` and the folders of its archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.api import (
    BadInputError,
    MissingDataError,
    NoOptions,
    ProbeProtocol,
    Split,
    Task,
    TaskData,
    TaskItem,
)
from mscol_tasks.files import absence_notes, read_table, with_audio

SPLITS: dict[str, Split] = {"training": "train", "validation": "valid", "test": "test"}
# Files of the archive that hold no audio at all.
EMPTY = frozenset({"099134", "108925", "133297"})
# Files that hold a second or two of the 30, or less.
SHORT = frozenset({"098565", "098567", "098569"})
FIELDS = (("set", "split"), ("set", "subset"), ("track", "genre_top"))
ARTIST = ("artist", "id")


@dataclass(frozen=True)
class _Track:
    id: str
    split: Split
    genre: str
    artist: str


class FmaSmall(Task):
    """The top genre of 30 s clips.

    Layout: `DATA/fma_metadata/tracks.csv`, whose two header rows name each column by group and
    field, and `DATA/fma_small/000/000002.mp3`; a clip may also be there in another audio format.
    The tracks of subset `small`, in its own split; genres in alphabetical order.
    """

    protocol = ProbeProtocol(learning_rate=5e-4)

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def load(self, folder: Path) -> TaskData:
        """Read the table and find the clips."""
        tracks = list(_tracks(folder / "fma_metadata" / "tracks.csv"))
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


def _tracks(path: Path) -> Iterator[_Track]:
    rows = read_table(path, ",")
    (_, groups), (_, fields) = next(rows, (1, [])), next(rows, (2, []))
    columns = _columns(path, groups, fields)
    for line, row in rows:
        if row and row[0].isdecimal():
            yield from _small_track(row, columns, len(groups), f"{path}, line {line}")


def _columns(path: Path, groups: Sequence[str], fields: Sequence[str]) -> tuple[int | None, ...]:
    """Of `FIELDS`, and of the artist if the table has one."""
    place = {name: column for column, name in enumerate(zip(groups, fields, strict=False))}
    absent = [f"({group}, {field})" for group, field in FIELDS if (group, field) not in place]
    if absent:
        raise MissingDataError(f"{path} has no columns {', '.join(absent)}: unpack the original.")
    return (*(place[name] for name in FIELDS), place.get(ARTIST))


def _small_track(
    row: Sequence[str], columns: Sequence[int | None], width: int, where: str
) -> Iterator[_Track]:
    if len(row) != width:
        raise BadInputError(f"{where} has {len(row)} columns, not {width}: get it anew.")
    split, subset, genre, artist = ("" if place is None else row[place] for place in columns)
    if subset != "small":
        return
    if split not in SPLITS:
        raise BadInputError(f"{where} has split '{split}', not one of {', '.join(SPLITS)}.")
    yield _Track(f"{int(row[0]):06d}", SPLITS[split], genre, artist)


def _left_out(tracks: Sequence[_Track]) -> list[str]:
    empty = sorted(track.id for track in tracks if track.id in EMPTY)
    short = sorted(track.id for track in tracks if track.id in SHORT)
    bare = sum(not track.genre for track in tracks)
    notes = [f"excluded, known to hold no audio: tracks {', '.join(empty)}"] if empty else []
    notes += [f"known to be cut short: tracks {', '.join(short)}"] if short else []
    return notes + ([f"excluded, without a top genre: {bare} tracks"] if bare else [])
