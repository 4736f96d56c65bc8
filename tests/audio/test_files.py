"""Finding audio: which files, in which order, under which names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mscol_cli.audio import find_audio
from mscol_cli.audio.files import BROKEN_LINK, OTHER_SUFFIX
from mscol_cli.errors import MissingDataError, UsageError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(*inputs: Path) -> list[str]:
    return [file.name for file in find_audio(inputs).files]


def test_folders_are_searched_in_order_for_audio_that_is_not_hidden(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.MP3", "b/1.wav", "a/deep/x.m4a", "c.flac", "notes.txt", "a/list.csv")
    touch(tmp_path, ".hidden.wav", ".trash/y.wav", "shards/0.npy")
    assert names(tmp_path) == ["c.flac", "a/deep/x.m4a", "b/1.wav", "b/2.MP3"]


def test_a_named_file_is_tried_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "take.one", ".hidden.wav")
    assert names(tmp_path / "take.one", tmp_path / ".hidden.wav") == ["take.one", ".hidden.wav"]


def test_a_name_is_the_path_below_the_input_whatever_the_others_are(tmp_path: Path) -> None:
    touch(tmp_path, "x/a/1.wav", "x/2.wav", "y/a/1.wav", "y/3.wav")
    alone = names(tmp_path / "x"), names(tmp_path / "y"), names(tmp_path / "y" / "3.wav")
    assert alone == (["2.wav", "a/1.wav"], ["3.wav", "a/1.wav"], ["3.wav"])
    together = names(tmp_path / "x", tmp_path / "y", tmp_path / "y" / "3.wav")
    assert together == ["2.wav", "a/1.wav", "3.wav", "a/1.wav"]


def test_an_input_inside_another_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "x/a/1.wav")
    with pytest.raises(UsageError, match=r"x/a/1\.wav.* a/1\.wav.* 1\.wav"):
        names(tmp_path / "x", tmp_path / "x" / "a")


def test_names_never_climb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "here/1.wav", "2.wav")
    monkeypatch.chdir(tmp_path / "here")
    found = names(Path("../2.wav"), Path())
    assert found == ["2.wav", "1.wav"]
    found = names(Path(".."))
    assert not any(".." in name.split("/") or name.startswith("/") for name in found)


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "disk/1.wav", "data/2.wav")
    (tmp_path / "data" / "far").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "data")
    assert names(tmp_path / "data") == ["2.wav", "far/1.wav"]


def test_a_folder_keeps_its_own_name_where_links_lead_to_it_too(tmp_path: Path) -> None:
    touch(tmp_path, "z/1.wav", "b.txt")
    (tmp_path / "a").symlink_to(tmp_path / "z")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    listing = find_audio([tmp_path])
    assert [file.name for file in listing.files] == ["z/1.wav"]
    assert listing.left_out == {OTHER_SUFFIX: ["b.txt"], BROKEN_LINK: ["gone.txt"]}


def test_links_in_a_circle_are_files_that_decoding_refuses(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.wav", "y/1.wav")
    (tmp_path / "x" / "2.wav").symlink_to("3.wav")
    (tmp_path / "x" / "3.wav").symlink_to("2.wav")
    found = names(tmp_path / "x", tmp_path / "y")
    assert found == ["1.wav", "2.wav", "3.wav", "1.wav"]


def test_a_name_that_is_not_utf8_is_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    touch(tmp_path, name)
    assert names(tmp_path) == [name]


def test_nothing_to_find_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no audio files found in"):
        find_audio([tmp_path])
    with pytest.raises(MissingDataError, match="no such file or folder"):
        find_audio([tmp_path / "gone"])
