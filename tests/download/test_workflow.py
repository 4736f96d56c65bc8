"""`mscol download`: what is said, what is fetched, where it lies."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import random
import shutil
import stat
from pathlib import Path

import pytest

from mscol_cli import __version__
from mscol_cli.api import NoOptions
from mscol_cli.contracts.progress import Silent
from mscol_cli.download.fetch import fetch_files
from mscol_cli.download.folder import download_lock
from mscol_cli.download.part import Part
from mscol_cli.download.plan import make_plan
from mscol_cli.download.record import Record
from mscol_cli.download.table import find_collection
from mscol_cli.errors import UsageError
from mscol_cli.synthetic import Collection
from mscol_tasks.mtat import MagnaTagATune
from tests.conftest import Command, Offer
from tests.helpers.downloads import Server, contents, make_tar, make_zip, remote, sha256
from tests.helpers.messages import mentions


class Killed(BaseException):
    """A kill: nothing catches it."""


def killed(*_: object) -> None:
    raise Killed


MUSIC = random.Random(0).randbytes(1_000_000)


def test_offline_nothing_is_downloaded_and_what_is_there_is_unpacked(
    mscol: Command,
    server: Server,
    offer: Offer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive = make_zip({"0/a.mp3": MUSIC})
    offer(mine=[remote(server, "clips.zip", archive, unpack="zip")])
    monkeypatch.setenv("MSCOL_OFFLINE", "1")
    assert mscol("download", "mine") == 4
    assert "cannot be downloaded offline" in capsys.readouterr().err
    assert server.requests == []
    Path("data/mine").mkdir(parents=True, exist_ok=True)
    Path("data/mine/clips.zip").write_bytes(archive)
    assert mscol("download", "mine") == 0
    assert Path("data/mine/0/a.mp3").read_bytes() == MUSIC


def test_a_download_locks_a_file_as_nfs_locks_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = list[bool]()

    def flock(descriptor: int, _operation: int) -> None:
        locked.append(stat.S_ISREG(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(fcntl, "flock", flock)
    with download_lock(tmp_path / "data", Silent()):
        pass
    assert locked == [True]
    assert not any((tmp_path / "data").iterdir())


def test_a_collection_is_fetched_and_unpacked_as_the_table_says(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    tar = make_tar({"notes-test/examples.json": b"{}", "notes-test/audio/a.wav": b"RIFF"})
    files = [
        remote(server, "labels.csv", b"1,2\n"),
        remote(server, "clips.zip", make_zip({"0/a.mp3": MUSIC, "f/b.mp3": b""}), unpack="zip"),
        remote(server, "notes.tar.gz", tar, unpack="tar.gz"),
    ]
    offer(mine=files)
    assert mscol("download", "mine", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert contents(Path("data/mine")) == {
        "labels.csv": b"1,2\n",
        "0/a.mp3": MUSIC,
        "f/b.mp3": b"",
        "notes-test/examples.json": b"{}",
        "notes-test/audio/a.wav": b"RIFF",
    }
    assert server.agent == f"mscol/{__version__}"
    assert result["licence"] == "licence of mine"
    assert [file["state"] for file in result["files"]] == ["fetched"] * 3
    assert result["archives_unpacked"] == ["clips.zip", "notes.tar.gz"]


def test_the_second_run_asks_for_nothing(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    zipped = remote(server, "clips.zip", make_zip({"0/a.mp3": MUSIC}), unpack="zip")
    offer(mine=[remote(server, "labels.csv", b"1,2\n"), zipped])
    assert mscol("download", "mine") == 0
    asked = len(server.requests)
    capsys.readouterr()
    assert mscol("download", "mine") == 0
    assert len(server.requests) == asked == 2
    assert "nothing to do" in capsys.readouterr().out


def test_archives_are_kept_if_asked_for_and_not_unpacked_again(
    mscol: Command, server: Server, offer: Offer
) -> None:
    members = {"0/a.mp3": MUSIC, "0/b.mp3": MUSIC}
    offer(mine=[remote(server, "clips.zip", make_zip(members), unpack="zip")])
    assert mscol("download", "mine", "-o", "here", "--keep-archives") == 0
    assert set(contents(Path("here"))) == {"clips.zip", *members}
    Path("here/0/a.mp3").unlink()
    assert mscol("download", "mine", "-o", "here", "--keep-archives") == 0
    assert set(contents(Path("here"))) == {"clips.zip", "0/b.mp3"}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("name", ["0/a.mp3", "./0/a.mp3", "0\\a.mp3"])
def test_data_that_were_deleted_are_downloaded_again_and_only_those(
    mscol: Command, server: Server, offer: Offer, kind: str, name: str
) -> None:
    archive = {"zip": make_zip, "tar.gz": make_tar}[kind]({name: MUSIC})
    offer(mine=[remote(server, "clips", archive, unpack=kind)])
    assert mscol("download", "mine") == mscol("download", "mine") == 0
    assert len(server.requests) == 1
    shutil.rmtree("data/mine/0")
    assert mscol("download", "mine") == 0
    assert contents(Path("data/mine")) == {"0/a.mp3": MUSIC}


def test_a_tar_that_ends_too_early_is_kept_and_ends_the_download(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    tar = gzip.decompress(make_tar({f"f{n}": b"data" for n in range(5)}))
    archive = gzip.compress(tar[:2048] + b"\xff" * 512 + tar[2560:])
    offer(mine=[remote(server, "notes.tar.gz", archive, unpack="tar.gz")])
    assert mscol("download", "mine") == 1
    assert mentions(capsys.readouterr().err, "notes.tar.gz", "damaged", "byte 2048")
    assert Path("data/mine/notes.tar.gz").read_bytes() == archive
    assert mscol("download", "mine") == 1


def test_parts_are_unpacked_as_one_archive(mscol: Command, server: Server, offer: Offer) -> None:
    whole = make_zip({f"{n}/song.mp3": MUSIC[n * 1000 :] for n in range(4)})
    third = len(whole) // 3
    parts = [whole[:third], whole[third : 2 * third], whole[2 * third :]]
    offer(
        mine=[
            remote(server, f"mp3.zip.{n:03}", part, unpack="zip", part_of="mp3.zip")
            for n, part in enumerate(parts, start=1)
        ]
    )
    assert mscol("download", "mine") == 0
    assert contents(Path("data/mine")) == {f"{n}/song.mp3": MUSIC[n * 1000 :] for n in range(4)}


def test_the_licence_is_said_before_the_first_request(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    heard: list[str] = []
    server.on_request = lambda: heard.append(capsys.readouterr().err)
    assert mscol("download", "mine") == 0
    for said in ("The mine of a test", "licence of mine", "to download: 1.00 MB", "free: "):
        assert said in heard[0]


def test_without_room_nothing_is_asked_for(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC, size=10**18)])
    assert mscol("download", "mine") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert mentions(error, "mine", "1000000 TB", "data/mine")
    assert server.requests == []
    assert not Path("data").exists()


def test_members_that_are_there_need_no_room_again(
    mscol: Command, server: Server, offer: Offer, tmp_path: Path
) -> None:
    zipped = make_zip({"a.mp3": MUSIC, "b.mp3": MUSIC})
    offer(mine=[remote(server, "clips.zip", zipped, unpack="zip", unpacked=2 * len(MUSIC))])
    mine = find_collection("mine")
    (tmp_path / "clips.zip").write_bytes(zipped)
    record = Record(tmp_path, "mine")
    assert make_plan(mine, tmp_path, record).disk == 2 * len(MUSIC)
    record.start_unpacking(mine.archives[0])
    before = make_plan(mine, tmp_path, record).disk
    (tmp_path / "a.mp3").write_bytes(MUSIC)
    assert make_plan(mine, tmp_path, record).disk == before - len(MUSIC)


def test_a_record_that_is_no_json_is_named(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    Path("data/mine").mkdir(parents=True)
    Path("data/mine/.mscol-mine.json").write_text("{")
    assert mscol("download", "mine") == 2
    assert mentions(capsys.readouterr().err, ".mscol-mine.json", "JSON")


def test_a_folder_that_is_a_file_is_named(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    Path("taken").write_text("mine")
    assert mscol("download", "mine", "-o", "taken") == 1
    assert mentions(capsys.readouterr().err, "taken", "File exists")
    assert Path("taken").read_text() == "mine"


def test_a_kill_between_record_and_name_loses_neither_hash_nor_address(
    mscol: Command, server: Server, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    folder = Path("data/mine")
    with monkeypatch.context() as patch:
        patch.setattr(Part, "finish", killed)
        with pytest.raises(Killed):
            mscol("download", "mine")
    asked, record = len(server.requests), (folder / ".mscol-mine.json").read_bytes()
    assert not (folder / "a.bin").exists()
    assert mscol("download", "mine") == 0
    assert contents(folder) == {"a.bin": MUSIC}
    assert len(server.requests) == asked
    assert (folder / ".mscol-mine.json").read_bytes() == record
    assert json.loads(record)["files"]["a.bin"]["hash"] == sha256(MUSIC)


def test_an_archive_that_was_about_to_be_deleted_is_deleted_by_the_next_command(
    mscol: Command, server: Server, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(mine=[remote(server, "clips.zip", make_zip({"0/a.mp3": MUSIC}), unpack="zip")])
    with monkeypatch.context() as patch:
        patch.setattr("mscol_cli.download.workflow._delete_needless", killed)
        with pytest.raises(Killed):
            mscol("download", "mine")
    assert Path("data/mine/clips.zip").exists()
    assert mscol("download", "mine") == 0
    assert contents(Path("data/mine")) == {"0/a.mp3": MUSIC}


def test_without_a_hash_nothing_is_downloaded(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC, hash=None, size=None)])
    assert mscol("download", "mine") == 2
    assert mentions(capsys.readouterr().err.splitlines()[-1], "a.bin", "hash")
    with pytest.raises(UsageError, match=r"a\.bin has no hash"):
        fetch_files(find_collection("mine"), ["a.bin"])
    assert not server.requests
    assert not Path("data/mine/a.bin").exists()


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    assert mscol("download", "mine", "--dry-run") == 0
    captured = capsys.readouterr()
    assert captured.out.split() == ["missing", f"{server.url}/a.bin"]
    assert "licence of mine" in captured.err
    assert server.requests == []
    assert not Path("data").exists()


def test_a_mirror_stands_in_for_every_address(
    mscol: Command, server: Server, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC, urls=["http://127.0.0.1:9/elsewhere"])])
    monkeypatch.setenv("MSCOL_MIRROR", f"{server.url}/mirror/")
    server.files["/mirror/mine/a.bin"] = MUSIC
    assert mscol("download", "mine") == 0
    assert server.requests == [("/mirror/mine/a.bin", None)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["mtatt"], 2, "'mtat'"),
        (["--dry-run"], 2, "NAME"),
    ],
)
def test_a_mistake_is_told(
    mscol: Command,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert mscol("download", *arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_mirror_that_is_no_web_address_is_refused(
    mscol: Command,
    server: Server,
    offer: Offer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    monkeypatch.setenv("MSCOL_MIRROR", "file:///srv/mirror")
    assert mscol("download", "mine") == 2
    assert mentions(capsys.readouterr().err, "MSCOL_MIRROR", "file:///srv/mirror")


def test_without_a_name_the_collections_are_listed(
    mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("download") == 0
    listed = capsys.readouterr().out
    for name in ("mtat", "nsynth", "fma", "umxl", "umxhq", "3.00 GB", "CC BY-NC-SA 4.0"):
        assert name in listed
    assert mscol("download", "--json") == 0
    names = [entry["name"] for entry in json.loads(capsys.readouterr().out)["items"]]
    assert names == ["mtat", "nsynth", "fma", "umxl", "umxhq", "umxse"]


@pytest.mark.slow
def test_what_is_downloaded_is_what_probe_reads(
    mscol: Command,
    server: Server,
    offer: Offer,
    collection: Collection,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clips = {name: data for name, data in contents(collection.mtat).items() if "/" in name}
    whole = make_zip(clips)
    middle = len(whole) // 2
    labels = (collection.mtat / "annotations_final.csv").read_bytes()
    offer(
        mtat=[
            remote(server, "annotations_final.csv", labels),
            remote(server, "mp3.zip.001", whole[:middle], unpack="zip", part_of="mp3.zip"),
            remote(server, "mp3.zip.002", whole[middle:], unpack="zip", part_of="mp3.zip"),
        ]
    )
    assert mscol("download", "mtat") == 0
    task = MagnaTagATune(NoOptions())
    assert len(task.load(Path("data/mtat")).items) == len(task.load(collection.mtat).items)
    untrained = ["--model", "untrained", "--encoder", "small", "--seeds", 1, "--device", "cpu"]
    capsys.readouterr()
    assert mscol("probe", "mtat", *untrained, "--json") == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    splits = [item.split for item in task.load(collection.mtat).items]
    assert counts["test"] == splits.count("test")
