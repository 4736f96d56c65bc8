"""FMA-small's layout: numbered mp3 clips, and ``tracks.csv`` with its two-row header."""

import csv
from collections.abc import Mapping
from pathlib import Path

from mscol_cli.synthetic.catalogue import TEST, TRAIN, VALID, Entry
from mscol_cli.synthetic.files import write_mp3
from mscol_cli.synthetic.song import Song

FMA_SAMPLE_RATE = 22_050
SPLITS = {TRAIN: "training", VALID: "validation", TEST: "test"}
COLUMNS: dict[str, tuple[str, ...]] = {
    "album": (
        "comments", "date_created", "date_released", "engineer", "favorites", "id",
        "information", "listens", "producer", "tags", "title", "tracks", "type",
    ),
    "artist": (
        "active_year_begin", "active_year_end", "associated_labels", "bio", "comments",
        "date_created", "favorites", "id", "latitude", "location", "longitude", "members", "name",
        "related_projects", "tags", "website", "wikipedia_page",
    ),
    "set": ("split", "subset"),
    "track": (
        "bit_rate", "comments", "composer", "date_created", "date_recorded", "duration",
        "favorites", "genre_top", "genres", "genres_all", "information", "interest",
        "language_code", "license", "listens", "lyricist", "number", "publisher", "tags", "title",
    ),
}  # fmt: skip
GENRE_IDS = {
    "International": 2, "Pop": 10, "Rock": 12, "Electronic": 15, "Folk": 17, "Hip-Hop": 21,
    "Experimental": 38, "Instrumental": 1235,
}  # fmt: skip

Row = dict[tuple[str, str], str | int]


def track_id(entry: Entry) -> int:
    """Id of a track; as in FMA, ids have gaps and need several folders."""
    return 2 + 31 * entry.index + entry.index % 7


def clip_path(track: int) -> str:
    """Path of a track's clip below ``fma``."""
    return f"fma_small/{track // 1000:03d}/{track:06d}.mp3"


def write_clip(root: Path, entry: Entry, song: Song) -> None:
    """Write the mixture of a song to its path in FMA-small."""
    path = root / clip_path(track_id(entry))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp3(path, song.mixture, song.sample_rate)


def write_tracks(root: Path, entries: list[Entry], seconds: float) -> None:
    """Write ``fma_metadata/tracks.csv``, with a few rows of larger subsets without audio."""
    rows = {track_id(entry): _row(entry, "small", entry.style, seconds) for entry in entries}
    for extra, subset in enumerate(("medium", "large", "medium", "large")):
        model = entries[extra * len(entries) // 4]
        genre = model.style if subset == "medium" else ""
        rows[track_id(model) + 11] = _row(model, subset, genre, seconds)
    write_table(root, rows)


def write_table(root: Path, rows: Mapping[int, Row]) -> None:
    """Write ``fma_metadata/tracks.csv`` with a row per track id; fields without a value are empty.

    Args:
        root: folder of the data set.
        rows: cells by column group and field, by track id.
    """
    path = root / "fma_metadata" / "tracks.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [(group, field) for group, fields in COLUMNS.items() for field in fields]
        writer.writerow(["", *(group for group, _ in names)])
        writer.writerow(["", *(field for _, field in names)])
        writer.writerow(["track_id", *("" for _ in names)])
        for track in sorted(rows):
            writer.writerow([track, *(rows[track].get(name, "") for name in names)])


def _row(entry: Entry, subset: str, genre: str, seconds: float) -> Row:
    number = f"[{GENRE_IDS[entry.style]}]"
    return {
        ("album", "comments"): 0,
        ("album", "date_created"): "2008-11-26 01:44:45",
        ("album", "id"): entry.artist + 1,
        ("album", "tags"): "[]",
        ("album", "title"): entry.album,
        ("album", "tracks"): 2,
        ("album", "type"): "Album",
        ("artist", "comments"): 0,
        ("artist", "id"): entry.artist + 1,
        ("artist", "name"): entry.artist_name,
        ("artist", "tags"): "[]",
        ("set", "split"): SPLITS[entry.split],
        ("set", "subset"): subset,
        ("track", "bit_rate"): 56000,
        ("track", "comments"): 0,
        ("track", "date_created"): "2008-11-26 01:48:12",
        ("track", "duration"): round(6 * seconds),
        ("track", "genre_top"): genre,
        ("track", "genres"): number,
        ("track", "genres_all"): number,
        ("track", "license"): "CC0",
        ("track", "number"): entry.track_number,
        ("track", "tags"): "[]",
        ("track", "title"): entry.title,
    }
