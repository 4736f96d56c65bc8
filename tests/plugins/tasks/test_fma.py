"""FMA's table with two header rows to labelled tracks."""

from __future__ import annotations

from pathlib import Path

import pytest

from mscol_cli.api import BadInputError, MissingDataError, NoOptions, TaskData
from mscol_tasks.fma import FmaSmall
from tests.helpers.tasks import FMA_HEADER, touch, write_fma

TRACKS = {
    2: ("training", "small", "Rock"),
    5: ("training", "medium", "Jazz"),
    140: ("training", "small", "Folk"),
    1039: ("validation", "small", "Folk"),
    99134: ("training", "small", "Folk"),
    120000: ("test", "small", "Hip-Hop"),
    120001: ("test", "large", ""),
    120002: ("test", "small", ""),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All tracks of the small subset, with audio."""
    write_fma(tmp_path, TRACKS)
    for name in ("000/000002", "000/000140", "001/001039", "099/099134", "120/120000"):
        touch(tmp_path / "fma_small" / f"{name}.mp3")
    return tmp_path


def load(folder: Path) -> TaskData:
    return FmaSmall(NoOptions()).load(folder)


def test_small_tracks_are_read_by_the_names_of_both_header_rows(folder: Path) -> None:
    data = load(folder)
    found = {item.id: (item.split, data.classes[item.labels[0]]) for item in data.items}
    assert found == {
        "000002": ("train", "Rock"),
        "000140": ("train", "Folk"),
        "001039": ("valid", "Folk"),
        "120000": ("test", "Hip-Hop"),
    }
    assert data.classes == ("Folk", "Hip-Hop", "Rock")


def test_tracks_known_to_be_empty_and_tracks_without_genre_are_noted(folder: Path) -> None:
    notes = " ".join(load(folder).notes)
    assert "099134" in notes
    assert "without a top genre: 1" in notes


def test_a_missing_track_keeps_every_class_in_its_place(folder: Path) -> None:
    (folder / "fma_small/000/000140.mp3").unlink()
    (folder / "fma_small/001/001039.mp3").unlink()
    data = load(folder)
    assert list(data.missing) == ["fma_small/000/000140.mp3", "fma_small/001/001039.mp3"]
    assert data.classes == ("Folk", "Hip-Hop", "Rock")
    assert {item.id: item.labels for item in data.items} == {"000002": (2,), "120000": (1,)}


def test_columns_may_stand_in_another_order(folder: Path) -> None:
    path = folder / "fma_metadata/tracks.csv"
    path.write_text(
        ",track,extra,set,set\n,genre_top,split,subset,split\ntrack_id,,,,\n"
        "2,Rock,validation,small,test\n"
    )
    assert [(item.id, item.split) for item in load(folder).items] == [("000002", "test")]


def test_a_table_read_as_one_header_row_is_refused(folder: Path) -> None:
    (folder / "fma_metadata/tracks.csv").write_text("track_id,split,subset\n2,training,small\n")
    with pytest.raises(MissingDataError, match="genre_top"):
        load(folder)


def test_an_unknown_split_is_placed(folder: Path) -> None:
    head = "\n".join(",".join(row) for row in FMA_HEADER)
    (folder / "fma_metadata/tracks.csv").write_text(f"{head}\n2,Title,dev,small,Rock,Title\n")
    with pytest.raises(BadInputError, match=r"line 4, column 'set\.split': 'dev'"):
        load(folder)


def test_no_table_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"fma_metadata/tracks\.csv"):
        load(tmp_path)


@pytest.mark.slow
def test_the_full_subset_has_6400_800_and_800_tracks_but_for_the_empty_ones(
    tmp_path: Path,
) -> None:
    genres = ("Electronic", "Experimental", "Folk", "Hip-Hop", "Instrumental", "International")
    counts = {"training": 800, "validation": 100, "test": 100}
    named = [
        (split, genre) for split, n in counts.items() for genre in (*genres, "Pop", "Rock") * n
    ]
    numbers = [99134, 108925, 133297, 98565, *range(200_000, 200_000 + len(named) - 4)]
    tracks = {
        number: (split, "small", genre)
        for number, (split, genre) in zip(numbers, named, strict=True)
    }
    write_fma(tmp_path, {**tracks, 9: ("test", "medium", "Rock")})
    for number in numbers:
        touch(tmp_path / "fma_small" / f"{number // 1000:03d}" / f"{number:06d}.mp3")
    data = load(tmp_path)
    splits = [item.split for item in data.items]
    assert [splits.count(split) for split in ("train", "valid", "test")] == [6_397, 800, 800]
    assert len(data.classes) == 8
    notes = " ".join(data.notes)
    assert "no audio: tracks 099134, 108925, 133297" in notes
    assert "cut short: tracks 098565" in notes


def test_tracks_are_grouped_by_artist_where_the_table_has_them(folder: Path) -> None:
    assert not any(item.groups for item in load(folder).items)
    write_fma(folder, TRACKS, dict.fromkeys(TRACKS, 17))
    assert {item.groups["artist"] for item in load(folder).items} == {"17"}
