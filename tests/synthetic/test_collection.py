"""The collection on disk: the four layouts, all or nothing, found again, same bytes."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mscol_cli.api import TOP_TAGS
from mscol_cli.errors import UsageError
from mscol_cli.synthetic import (
    STEMS,
    Collection,
    collection,
    style_names,
    write_collection,
)
from mscol_cli.synthetic.catalogue import catalogue
from mscol_cli.synthetic.collection import MTAT_SHARES


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    root = tmp_path_factory.mktemp("synthetic") / "data"
    return write_collection(root, songs=16, seconds=4.0, notes=22)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def tracks(root: Path) -> list[dict[tuple[str, str], str]]:
    with (root / "fma_metadata" / "tracks.csv").open(newline="") as file:
        groups, fields, third, *rows = csv.reader(file)
    assert third[0] == "track_id"
    assert not any(third[1:])
    names = list(zip(groups, fields, strict=True))
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_mtat_rows_and_clips_match(small: Collection) -> None:
    rows = table(small.mtat / "annotations_final.csv")
    paths = [row["mp3_path"] for row in rows]
    assert next(iter(rows[0])) == "clip_id"
    assert list(rows[0])[-1] == "mp3_path"
    assert set(TOP_TAGS) < set(rows[0])
    assert {p.relative_to(small.mtat).as_posix() for p in small.mtat.rglob("*.mp3")} == set(paths)
    assert {value for row in rows for name, value in row.items() if name in TOP_TAGS} == {"0", "1"}
    assert [row["mp3_path"] for row in table(small.mtat / "clip_info_final.csv")] == paths
    info = soundfile.info(small.mtat / paths[0])
    assert (info.format, info.samplerate, info.channels) == ("MP3", 16_000, 1)
    assert info.duration == pytest.approx(4.0, abs=0.2)


def test_mtat_splits_are_filled_and_keep_artists_together(small: Collection) -> None:
    rows = table(small.mtat / "clip_info_final.csv")
    folders = {row["artist"]: set[str]() for row in rows}
    for row in rows:
        folders[row["artist"]].add(row["mp3_path"].split("/")[0])
    assert all(len(found) == 1 for found in folders.values())
    used = set.union(*folders.values())
    assert "c" in used
    assert used & set("def")
    assert used & set("0123456789ab")


def test_stems_are_the_training_songs_and_add_up(small: Collection) -> None:
    folders = sorted((small.stems / "train").iterdir())
    rows = table(small.mtat / "clip_info_final.csv")
    in_train = [row for row in rows if row["mp3_path"][0] in "0123456789ab"]
    assert {folder.name for folder in folders} == {
        f"{r['artist']} - {r['title']}" for r in in_train
    }
    for folder in folders[:3]:
        read = {n: soundfile.read(folder / f"{n}.wav")[0] for n in (*STEMS, "mixture")}
        assert np.array_equal(sum(read[name] for name in STEMS), read["mixture"])


def test_fma_has_the_genuine_header_and_balanced_genres(small: Collection) -> None:
    rows = tracks(small.fma)
    heard = [row for row in rows if row["set", "subset"] == "small"]
    assert len(rows) > len(heard)
    assert set(Counter(row["track", "genre_top"] for row in heard).values()) == {2}
    assert {row["set", "split"] for row in heard} == {"training", "validation", "test"}
    names = {f"{int(row['', '']):06d}" for row in heard}
    files = list((small.fma / "fma_small").rglob("*.mp3"))
    assert {path.stem for path in files} == names
    assert all(path.parent.name == path.stem[:3] for path in files)
    assert len(rows[0]) == 53


def test_nsynth_examples_describe_the_files(small: Collection) -> None:
    instruments: dict[str, set[str]] = {}
    for split in ("train", "valid", "test"):
        folder = small.nsynth / f"nsynth-{split}"
        examples = json.loads((folder / "examples.json").read_text())
        assert {path.stem for path in (folder / "audio").iterdir()} == set(examples)
        instruments[split] = {note["instrument_str"] for note in examples.values()}
        assert all(note["note_str"] == name for name, note in examples.items())
        assert all(len(note) == 13 for note in examples.values())
        families = {note["instrument_family_str"] for note in examples.values()}
        assert ("synth_lead" in families) == (split == "train")
    assert not instruments["train"] & (instruments["valid"] | instruments["test"])


def test_default_catalogue_has_every_style_in_every_split() -> None:
    entries = catalogue(96, MTAT_SHARES, 0, "mtat")
    pools = Counter((entry.style, entry.split) for entry in entries)
    assert len(pools) == 3 * len(style_names())
    assert 0.6 < sum(e.split == "train" for e in entries) / 96 < 0.75
    assert len({entry.title for entry in entries}) == 96


def test_finished_collection_is_reused(small: Collection) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.root.rglob("*")}
    again = write_collection(small.root, songs=16, seconds=4.0, notes=22)
    assert again.reused
    assert not small.reused
    assert {path: path.stat().st_mtime_ns for path in small.root.rglob("*")} == before


def test_other_contents_are_never_overwritten(small: Collection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="other content"):
        write_collection(small.root, songs=16, seconds=4.0, notes=22, seed=1)
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="other content"):
        write_collection(tmp_path, songs=16, seconds=4.0, notes=22)


@pytest.mark.slow
@pytest.mark.processes
def test_two_workers_write_the_same_bytes_and_report_progress(
    small: Collection, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    twin = write_collection(
        tmp_path / "twin",
        songs=16,
        seconds=4.0,
        notes=22,
        workers=2,
        progress=lambda *now: seen.append(now),
    )
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    files = [path.relative_to(small.root) for path in small.root.rglob("*") if path.is_file()]
    assert len(files) > 80
    assert all((twin.root / f).read_bytes() == (small.root / f).read_bytes() for f in files)


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_collection(tmp_path / "data", songs=16, seconds=2.0, notes=16, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("songs", 15), ("tracks", 8), ("seconds", 1.0), ("notes", 3), ("workers", 0)],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, name: str, value: int) -> None:
    arguments = {"songs": 16, "notes": 22, name: value}
    with pytest.raises(UsageError, match=name):
        write_collection(tmp_path / "data", **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_layout_number_is_in_the_seal(small: Collection) -> None:
    seal = json.loads((small.root / collection.SEAL).read_text())
    assert seal["layout"] == collection.COLLECTION_LAYOUT
