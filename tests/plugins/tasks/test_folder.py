"""A folder of class folders to labelled clips."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from mscol_cli.api import AUDIO_SUFFIXES, MissingDataError, TaskData, UsageError
from mscol_cli.probe.leakage import shared_groups
from mscol_tasks.folder import SPLITS, FolderTask
from mscol_tasks.options import FolderOptions
from tests.helpers.tasks import touch


def load(folder: Path, **options: object) -> TaskData:
    return FolderTask(FolderOptions(**options)).load(folder)  # type: ignore[arg-type]


def write_classes(folder: Path, sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        for number in range(size):
            touch(folder / name / f"clip{number:03d}.wav")


def counts(data: TaskData) -> Counter[tuple[str, str]]:
    return Counter((data.classes[item.labels[0]], item.split) for item in data.items)


def test_split_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write_classes(tmp_path / split, {"jazz": 2, "rock": 1})
    data = load(tmp_path)
    assert data.classes == ("jazz", "rock")
    assert counts(data)["jazz", "valid"] == 2
    assert len({item.id for item in data.items}) == 9


def test_a_class_missing_in_one_split_shifts_no_label(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"blues": 1, "jazz": 1, "rock": 1})
    write_classes(tmp_path / "valid", {"jazz": 1, "rock": 1})
    write_classes(tmp_path / "test", {"rock": 1})
    data = load(tmp_path)
    assert all(data.classes[item.labels[0]] == item.path.parent.name for item in data.items)
    assert "no test clip of: blues, jazz" in data.notes


def test_own_split_is_stratified(tmp_path: Path) -> None:
    write_classes(tmp_path, {"jazz": 20, "rock": 40})
    found = counts(load(tmp_path, valid=0.1, test=0.2))
    assert [found["jazz", split] for split in ("train", "valid", "test")] == [14, 2, 4]
    assert [found["rock", split] for split in ("train", "valid", "test")] == [28, 4, 8]


@pytest.mark.parametrize(
    ("size", "splits"), [(1, "train"), (2, "test train"), (3, "test train valid")]
)
def test_a_small_class_gets_into_as_many_splits_as_it_can(
    tmp_path: Path, size: int, splits: str
) -> None:
    write_classes(tmp_path, {"large": 30, "small": size})
    found = {split for (name, split) in counts(load(tmp_path)) if name == "small"}
    assert found == set(splits.split())


def test_own_split_depends_on_names_and_seed_alone(tmp_path: Path) -> None:
    write_classes(tmp_path / "here", {"jazz": 12, "rock": 12})
    write_classes(tmp_path / "there" / "again", {"jazz": 12, "rock": 12})
    first, second, other = (
        {item.id: item.split for item in load(tmp_path / where, seed=seed).items}
        for where, seed in (("here", 0), ("there/again", 0), ("here", 1))
    )
    assert first == second
    assert first != other


def test_groups_stay_on_one_side_even_across_classes(tmp_path: Path) -> None:
    for number in range(48):
        touch(tmp_path / ("jazz", "rock")[number % 2] / f"artist{number // 4}__{number}.flac")
    data = load(tmp_path, group="__")
    sides: dict[str, set[str]] = {}
    for item in data.items:
        sides.setdefault(item.path.name.split("__")[0], set()).add(item.split)
    assert len(sides) == 12
    assert all(len(splits) == 1 for splits in sides.values())
    assert {split for _, split in counts(data)} == {"train", "valid", "test"}


def groups(data: TaskData) -> dict[str, str]:
    return {item.id: item.groups.get("group", "") for item in data.items}


@pytest.mark.parametrize(
    ("group", "below", "name"),
    [
        ("-", "miles-1.wav", "miles"),
        ("/", "miles/1.wav", "miles"),
        ("/", "miles/blue/1.wav", "miles"),
        ("/[^/]*$", "miles/blue/1.wav", "miles/blue"),
        ("-", "alone.wav", ""),
    ],
)
def test_a_group_is_the_path_below_the_class_before_the_match(
    tmp_path: Path, group: str, below: str, name: str
) -> None:
    for folder in ("own", "split/train", "split/valid", "split/test"):
        for path in ("jazz/x-1/2.wav", f"rock/{below}"):
            touch(tmp_path / folder / path)
    assert groups(load(tmp_path / "own", group=group))[f"rock/{below}"] == name
    assert groups(load(tmp_path / "split", group=group))[f"test/rock/{below}"] == name


def test_files_without_a_match_are_split_one_by_one_and_counted(tmp_path: Path) -> None:
    for number in range(6):
        touch(tmp_path / ("jazz", "rock")[number % 2] / "same" / f"{number}.wav")
        touch(tmp_path / ("jazz", "rock")[number % 2] / "001.wav")
    data = load(tmp_path, group="/")
    assert groups(data)["jazz/001.wav"] == groups(data)["rock/001.wav"] == ""
    assert len({item.split for item in data.items if "same" in item.id}) == 1
    assert any(
        "before '/'; files without a match, each a group of its own: 2" in note
        for note in data.notes
    )


@pytest.mark.parametrize("group", ["__", "^clip"])
def test_a_group_without_a_name_in_any_path_is_refused(tmp_path: Path, group: str) -> None:
    write_classes(tmp_path, {"jazz": 3, "rock": 3})
    with pytest.raises(UsageError, match=rf"group .*'{re.escape(group)}'.* 'clip000\.wav'"):
        load(tmp_path, group=group)


def test_folders_below_classes_are_recommended_as_groups(tmp_path: Path) -> None:
    write_classes(tmp_path, {"jazz": 3, "rock": 3})
    assert not any("group=/" in note for note in load(tmp_path).notes)
    write_classes(tmp_path, {"jazz/miles": 3})
    assert any("group=/" in note for note in load(tmp_path).notes)
    assert not any("group=/" in note for note in load(tmp_path, group="/").notes)


def test_duplicates_share_a_split_and_those_in_several_classes_are_named(tmp_path: Path) -> None:
    for number in range(40):
        path = touch(tmp_path / ("jazz", "rock")[number // 20] / f"clip{number:02d}.wav")
        path.write_bytes(bytes(9000) + bytes([number % 10]))  # the middle of all is the same
    data = load(tmp_path)
    for number in range(10):
        copies = [item for item in data.items if int(item.path.stem[4:]) % 10 == number]
        assert {item.groups["group"] for item in copies} == {f"jazz/clip0{number}.wav"}
        assert len({item.split for item in copies}) == 1
    assert len({item.split for item in data.items}) == 3
    notes = "\n".join(data.notes)
    assert "grouped with it: 40" in notes
    assert "in several classes (10): jazz/clip00.wav and jazz/clip10.wav and rock/clip20" in notes


def test_duplicates_join_the_groups_that_have_them(tmp_path: Path) -> None:
    for number, artist in enumerate("aabbccdd"):
        content = b"copy" if number in (1, 2) else f"own{number}".encode()
        touch(tmp_path / "jazz" / f"{artist}-{number}.wav").write_bytes(content)
    names = groups(load(tmp_path, group="-"))
    assert [names[name] for name in sorted(names)] == ["a"] * 4 + ["c"] * 2 + ["d"] * 2


def test_duplicates_in_several_split_folders_are_named_and_grouped(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        for number in range(2):
            content = "copy" if split != "valid" and number else f"{split}{number}"
            touch(tmp_path / split / "jazz" / f"{number}.wav").write_text(content)
    data = load(tmp_path)
    assert "in several splits (1): train/jazz/1.wav and test/jazz/1.wav" in "\n".join(data.notes)
    (shared,) = shared_groups(
        {split: [item for item in data.items if item.split == split] for split in SPLITS}
    )
    assert (shared.shared, shared.shared_clips) == (1, 1)


def test_a_bad_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="group"):
        load(tmp_path, group="(")


def test_what_is_no_audio_is_passed_over(tmp_path: Path) -> None:
    write_classes(tmp_path, {"jazz": 3, "rock": 3})
    for name in ("jazz/cover.jpg", "jazz/._clip000.wav", ".cache/a.wav", "notes/a.txt", "b.wav"):
        touch(tmp_path / name)
    data = load(tmp_path)
    assert data.classes == ("jazz", "rock")
    assert len(data.items) == 6
    assert [note for note in data.notes if note.startswith("left out")] == [
        "left out, hidden: 2, such as .cache",
        "left out, without an audio suffix: 2, such as notes/a.txt",
        "left out, in no class folder: 1, such as b.wav",
    ]


def test_every_suffix_that_separate_takes_is_a_clip(tmp_path: Path) -> None:
    for suffix in AUDIO_SUFFIXES:
        touch(tmp_path / "jazz" / f"clip{suffix}")
    assert len(load(tmp_path).items) == len(AUDIO_SUFFIXES)


def test_linked_folders_and_names_that_are_not_utf8_belong_to_their_class(tmp_path: Path) -> None:
    write_classes(tmp_path / "data", {"jazz": 3, os.fsdecode(b"caf\xe9"): 3})
    touch(tmp_path / "disk" / "far.wav")
    (tmp_path / "data" / "jazz" / "link").symlink_to(tmp_path / "disk")
    items = {item.id: item.labels for item in load(tmp_path / "data").items}
    assert items["jazz/link/far.wav"] == items["jazz/clip000.wav"]
    assert len(items) == 7


def test_a_pipe_among_the_clips_is_a_failure(tmp_path: Path) -> None:
    write_classes(tmp_path, {"jazz": 3, "rock": 3})
    os.mkfifo(tmp_path / "rock" / "radio.wav")
    data = load(tmp_path)
    assert len(data.items) == 6
    assert [name for name, _ in data.failures] == ["rock/radio.wav"]


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    write_classes(tmp_path, {"jazz/album/side": 3, "rock": 3})
    assert load(tmp_path).classes == ("jazz", "rock")


def test_split_folders_that_lack_one_are_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_classes(tmp_path / split, {"jazz": 2})
    with pytest.raises(MissingDataError, match="lacks valid"):
        load(tmp_path)


def test_a_folder_without_audio_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "jazz" / "readme.txt")
    with pytest.raises(MissingDataError, match=r"\b1\b.* suffix"):
        load(tmp_path)
