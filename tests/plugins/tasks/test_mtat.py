"""MagnaTagATune's metadata to labelled clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from mscol_cli.api import TOP_TAGS, BadInputError, MissingDataError, NoOptions, TaskData
from mscol_tasks.mtat import MagnaTagATune
from tests.helpers.tasks import touch, write_mtat

# In another order than the task's, among tags that are not of the 50.
COLUMNS = ("rap", *reversed(TOP_TAGS), "no piano", "hip hop")
CLIPS = {
    "2": ("0/a-1-0-29.mp3", ("guitar", "rap")),
    "6": ("b/b-1-0-29.mp3", ("no vocals",)),
    "7": ("a/untagged-1-0-29.mp3", ("rap",)),
    "10": ("c/c-1-0-29.mp3", ("metal", "choral")),
    "11": ("c/untagged-1-0-29.mp3", ()),
    "14": ("d/d-1-0-29.mp3", ("female voice",)),
    "19": ("f/f-1-0-29.mp3", ("guitar", "slow")),
    "21": ("e/untagged-1-0-29.mp3", ("hip hop",)),
    "35644": ("6/corrupt-117-146.mp3", ("guitar",)),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All clips, with audio."""
    write_mtat(tmp_path, CLIPS, COLUMNS)
    for path, _ in CLIPS.values():
        touch(tmp_path / path)
    return tmp_path


def load(folder: Path) -> TaskData:
    return MagnaTagATune(NoOptions()).load(folder)


def tags(data: TaskData) -> dict[str, set[str]]:
    return {item.id: {data.classes[label] for label in item.labels} for item in data.items}


def test_labels_are_read_by_name_whatever_the_order_of_columns(folder: Path) -> None:
    assert tags(load(folder)) == {
        "2": {"guitar"},
        "6": {"no vocals"},
        "10": {"metal", "choral"},
        "14": {"female voice"},
        "19": {"guitar", "slow"},
        "21": set(),
    }


def test_classes_are_the_fifty_tags_with_female_voice_before_metal(folder: Path) -> None:
    classes = load(folder).classes
    assert len(classes) == 50
    assert classes[0] == "guitar"
    assert classes[47:] == ("female voice", "metal", "choral")


def test_folders_decide_the_split(folder: Path) -> None:
    splits = {item.id: item.split for item in load(folder).items}
    tagged = {"2": "train", "6": "train", "10": "valid", "14": "test", "19": "test"}
    assert splits == {**tagged, "21": "test"}


def test_untagged_clips_are_in_the_unfiltered_test_set_alone(folder: Path) -> None:
    data = load(folder)
    assert data.test_sets == {"filtered": {"14", "19"}, "unfiltered": {"14", "19", "21"}}
    assert tags(data)["21"] == set()
    assert not any(item.id in ("7", "11") for item in data.items)


def test_notes_name_the_test_sets_the_order_of_tags_and_the_corrupt_clips(folder: Path) -> None:
    notes = " ".join(load(folder).notes)
    assert "filtered test set: 2 clips that have a top-50 tag" in notes
    assert "unfiltered test set: 3 clips, 1 of them without a top-50 tag" in notes
    assert "without a top-50 tag: 1 train, 1 valid" in notes
    assert "'female voice' before 'metal'" in notes
    assert "35644" in notes


def test_a_missing_clip_is_named_and_shifts_no_label(folder: Path) -> None:
    before = tags(load(folder))
    (folder / "0/a-1-0-29.mp3").unlink()
    data = load(folder)
    assert list(data.missing) == ["0/a-1-0-29.mp3"]
    assert tags(data) == {clip: own for clip, own in before.items() if clip != "2"}


def test_a_clip_may_be_in_another_format(folder: Path) -> None:
    (folder / "0/a-1-0-29.mp3").rename(folder / "0/a-1-0-29.flac")
    assert {item.path.name for item in load(folder).items} >= {"a-1-0-29.flac"}


def test_tags_that_are_not_annotated_are_no_classes(tmp_path: Path) -> None:
    write_mtat(tmp_path, {"1": ("0/a.mp3", ("rock",))}, ("slow", "rock"))
    touch(tmp_path / "0/a.mp3")
    data = load(tmp_path)
    assert data.classes == ("slow", "rock")
    assert any("not annotated" in note and "guitar" in note for note in data.notes)


def test_a_collection_may_list_its_own_tags(folder: Path) -> None:
    (folder / "tags.txt").write_text("rap\n\nguitar\nrap\npolka\n")
    data = load(folder)
    assert data.classes == ("rap", "guitar")
    assert tags(data)["2"] == {"rap", "guitar"}
    assert "tags of tags.txt, in its order" in data.notes
    assert not any("4332" in note or "left out" in note for note in data.notes)
    assert any("not annotated" in note and "polka" in note for note in data.notes)


def test_every_clip_of_a_collection_with_its_own_tags_is_used(folder: Path) -> None:
    (folder / "tags.txt").write_text("rap\nmetal\n")
    data = load(folder)
    assert {item.id for item in data.items} == set(CLIPS)
    assert {clip for clip, own in tags(data).items() if own} == {"2", "7", "10"}
    assert not data.test_sets
    assert any(
        "without a tag" in note and "2 train, 1 valid, 3 test" in note for note in data.notes
    )


@pytest.mark.parametrize(("content", "reason"), [(b"\n", "no tags"), (b"caf\xe9", "UTF-8")])
def test_a_list_of_tags_that_cannot_be_used_is_refused(
    folder: Path, content: bytes, reason: str
) -> None:
    (folder / "tags.txt").write_bytes(content)
    with pytest.raises(BadInputError, match=rf"tags\.txt.* .*{reason}"):
        load(folder)


def test_no_annotations_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"annotations_final\.csv"):
        load(tmp_path)


def test_no_audio_at_all_names_a_file(tmp_path: Path) -> None:
    write_mtat(tmp_path, CLIPS, COLUMNS)
    with pytest.raises(MissingDataError, match=r"0/a-1-0-29\.mp3 .*5"):
        load(tmp_path)


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "annotations_final.csv").write_text("id\tguitar\n1\t0\n")
    with pytest.raises(MissingDataError, match="clip_id, mp3_path"):
        load(tmp_path)


@pytest.mark.parametrize("line", ['"1"\t"1"', '"1"\t"1"\t"../x.mp3"', '"1"\t"1"\t"g/x.mp3"'])
def test_a_row_that_makes_no_sense_is_placed(tmp_path: Path, line: str) -> None:
    header = '"clip_id"\t"guitar"\t"mp3_path"'
    (tmp_path / "annotations_final.csv").write_text(f"{header}\n{line}\n")
    with pytest.raises(BadInputError, match="line 2"):
        load(tmp_path)


def test_binary_annotations_are_refused(tmp_path: Path) -> None:
    (tmp_path / "annotations_final.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(BadInputError, match="UTF-8"):
        load(tmp_path)


def test_clips_are_grouped_by_the_artist_and_the_song_in_their_names(folder: Path) -> None:
    groups = {item.id: item.groups for item in load(folder).items}
    assert groups["2"] == {"artist": "a", "song": "a-1"}
    assert groups["14"] == {"artist": "d", "song": "d-1"}
