"""Archives: nothing outside the folder, nothing half-written, nothing twice."""

from __future__ import annotations

import io
import random
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mscol_cli.contracts.progress import Progress, Silent
from mscol_cli.downloads.joined import open_joined
from mscol_cli.downloads.unpack import unpack
from mscol_cli.errors import MscolError
from tests.helpers_downloads import contents, make_tar, make_zip

NOTE = random.Random(0).randbytes(3_000_000)
MEMBERS = {"0/a.mp3": NOTE, "0/b.mp3": NOTE[::-1], "f/c.mp3": b"c"}


class Interrupting(Silent):
    """Presses Ctrl-C at the first megabyte of the second member."""

    def __init__(self) -> None:
        self.left = 4

    def advance(self, amount: int = 1, **fields: str) -> None:
        self.left -= amount
        if self.left <= 0:
            raise KeyboardInterrupt


def unpacked(
    folder: Path, archive: bytes, kind: str = "zip", progress: Progress | None = None
) -> int:
    path = folder.with_name("archive")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(archive)
    return unpack("archive", kind, [path], folder, progress or Silent())


def make(kind: str, members: Mapping[str, bytes]) -> bytes:
    return make_zip(members) if kind == "zip" else make_tar(members)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "C:\\x", "\\x"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(MscolError, match=r"archive is refused: its member .* would lie outside"):
        unpacked(tmp_path / "in" / "to", make(kind, {name: b"x"}), kind)
    assert contents(tmp_path / "in") == {"archive": (tmp_path / "in" / "archive").read_bytes()}


def test_a_file_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MscolError, match="would lie outside"):
        unpacked(tmp_path / "in" / "to", make_tar({"./": b"x"}), "tar.gz")


def test_a_bad_name_at_the_end_of_a_zip_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(MscolError, match=r"'\.\./x'"):
        unpacked(tmp_path / "to", make_zip({**MEMBERS, "../x": b"x"}))
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("target", ["/etc", "../..", "a.mp3"])
def test_a_link_in_a_tar_is_refused(tmp_path: Path, target: str) -> None:
    archive = make_tar({"a.mp3": b"a"}, links={"0": target})
    with pytest.raises(MscolError, match="its member '0' is a link"):
        unpacked(tmp_path / "to", archive, "tar.gz")
    assert contents(tmp_path / "to") == {"a.mp3": b"a"}


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("0")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    with pytest.raises(MscolError, match="its member '0' is a link"):
        unpacked(tmp_path / "to", stream.getvalue())


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_unpacking_goes_on_where_it_was_interrupted(tmp_path: Path, kind: str) -> None:
    archive = make(kind, MEMBERS)
    with pytest.raises(KeyboardInterrupt):
        unpacked(tmp_path / "to", archive, kind, Interrupting())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "to").rglob("*.mp3")}
    assert 0 < len(before) < len(MEMBERS)
    assert all(path.read_bytes() == MEMBERS[f"0/{path.name}"] for path in before)
    assert unpacked(tmp_path / "to", archive, kind) == len(MEMBERS)
    assert contents(tmp_path / "to") == MEMBERS
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_member_of_another_size_is_written_anew(tmp_path: Path, kind: str) -> None:
    (tmp_path / "to" / "0").mkdir(parents=True)
    (tmp_path / "to" / "0" / "a.mp3").write_bytes(NOTE[:-1])
    unpacked(tmp_path / "to", make(kind, MEMBERS), kind)
    assert contents(tmp_path / "to") == MEMBERS


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("cut", [0.01, 0.5, 0.999])
def test_an_archive_that_was_cut_off_is_damaged(tmp_path: Path, kind: str, cut: float) -> None:
    archive = make(kind, MEMBERS)
    with pytest.raises(MscolError, match=r"archive is damaged .* delete .*archive and run again"):
        unpacked(tmp_path / "to", archive[: round(cut * len(archive))], kind)


def test_a_member_whose_checksum_fails_is_not_left_behind(tmp_path: Path) -> None:
    archive = bytearray(make_zip({"a.mp3": NOTE}))
    archive[len(archive) // 2] ^= 1
    with pytest.raises(MscolError, match="archive is damaged"):
        unpacked(tmp_path / "to", bytes(archive))
    assert contents(tmp_path / "to") == {}


def test_what_is_in_a_zip_must_fit_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mscol_cli.space.free", lambda _: len(NOTE))
    with pytest.raises(MscolError, match=r"archive needs 6\.00 MB"):
        unpacked(tmp_path / "to", make_zip(MEMBERS))
    assert contents(tmp_path) == {"archive": (tmp_path / "archive").read_bytes()}


def test_joined_files_read_as_the_whole(tmp_path: Path) -> None:
    whole = NOTE[:10_000]
    cuts = [0, 3000, 3000, 3001, 9000, 10_000]  # one part is empty
    paths = [tmp_path / str(number) for number in range(len(cuts) - 1)]
    for path, start, end in zip(paths, cuts, cuts[1:], strict=False):
        path.write_bytes(whole[start:end])
    rng = random.Random(0)
    with open_joined(paths) as joined:
        assert joined.read() == whole
        for _ in range(200):
            start, length = rng.randrange(11_000), rng.randrange(5000)
            joined.seek(start)
            assert joined.read(length) == whole[start : start + length]
        assert joined.seek(-5, io.SEEK_END) == 9995
        assert joined.read() == whole[-5:]
