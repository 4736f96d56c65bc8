"""Archives: nothing outside the folder, nothing half-written, nothing twice."""

from __future__ import annotations

import gzip
import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from mscol_cli.contracts.progress import Progress, Silent
from mscol_cli.download.joined import open_joined
from mscol_cli.download.unpack import unpack
from mscol_cli.errors import MscolError
from tests.helpers.downloads import contents, make_tar, make_zip

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
    return unpack("archive", kind, [path], folder, progress or Silent()).count


def make(kind: str, members: Mapping[str, bytes]) -> bytes:
    return make_zip(members) if kind == "zip" else make_tar(members)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "C:\\x", "\\x"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(MscolError, match=r"archive.*member .*outside"):
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
    with pytest.raises(MscolError, match=r"member '0'.* link"):
        unpacked(tmp_path / "to", archive, "tar.gz")
    assert contents(tmp_path / "to") == {"a.mp3": b"a"}


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("0")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    with pytest.raises(MscolError, match=r"member '0'.* link"):
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("cut", [0.01, 0.5, 0.999])
def test_an_archive_that_was_cut_off_is_damaged(tmp_path: Path, kind: str, cut: float) -> None:
    archive = make(kind, MEMBERS)
    with pytest.raises(MscolError, match=r"archive.*damaged.*delete .*archive"):
        unpacked(tmp_path / "to", archive[: round(cut * len(archive))], kind)


def test_a_member_whose_checksum_fails_is_not_left_behind(tmp_path: Path) -> None:
    archive = bytearray(make_zip({"a.mp3": NOTE}))
    archive[len(archive) // 2] ^= 1
    with pytest.raises(MscolError, match=r"archive.*damaged"):
        unpacked(tmp_path / "to", bytes(archive))
    assert contents(tmp_path / "to") == {}


def tar_blocks(members: int = 5) -> bytes:
    """A tar, not compressed, of files `f0`, `f1`, ... that have a header and one block each."""
    return gzip.decompress(make_tar({f"f{n}": b"data" for n in range(members)}))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda tar: tar[:2048] + b"\xff" * 512 + tar[2560:], "header at byte 2048: bad checksum"),
        (lambda tar: tar[:2048] + bytes(512) + tar[2560:], "more data follows a block of zeros"),
        (lambda tar: tar[:2048] + tar[2560:], "header at byte 2048: "),
        (lambda tar: tar[:2048], "ends without an end-of-archive marker"),
        (lambda tar: tar[: 5 * 1024], "ends without an end-of-archive marker"),
        (lambda tar: tar[: 5 * 1024 + 512], "end-of-archive marker is cut off"),
        (lambda tar: tar[: 4 * 1024 + 200], "header at byte 4096: truncated header"),
        (lambda tar: tar[:2050] + b"\1" + tar[2051:], "header at byte 2048: bad checksum"),
        (lambda tar: tar + tar, "more data follows"),
        (lambda _: b"", "ends without an end-of-archive marker"),
    ],
)
def test_a_tar_that_ends_too_early_inside_sound_gzip_is_damaged(
    tmp_path: Path, damage: Callable[[bytes], bytes], what: str
) -> None:
    with pytest.raises(MscolError, match=f"archive.*damaged.*{what}"):
        unpacked(tmp_path / "to", gzip.compress(damage(tar_blocks())), "tar.gz")


def test_a_sparse_member_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    info = tarfile.TarInfo("hole")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = tarfile.itn(10**12, 12, tarfile.GNU_FORMAT)  # type: ignore[attr-defined]
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(header)[0]  # type: ignore[attr-defined]
    with pytest.raises(MscolError, match=r"member 'hole'.* sparse"):
        unpacked(tmp_path / "to", gzip.compress(bytes(header) + bytes(1024)), "tar.gz")
    assert contents(tmp_path / "to") == {}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_before_it_fills_the_disk(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mscol_cli.download.unpack.SMALL", 1_000_000)
    bomb = make(kind, {"a": b"a", "b": bytes(4_000_000), "c": bytes(4_000_000)})
    with pytest.raises(MscolError, match=r"archive is refused: it has .* kB, but its content"):
        unpacked(tmp_path / "in" / "to", bomb, kind)
    assert sum(path.stat().st_size for path in (tmp_path / "in").rglob("*") if path.is_file()) < 5e6


def test_a_member_of_a_tar_that_does_not_fit_on_the_disk_is_not_begun(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.wav")
    info.size = 10**15
    archive = gzip.compress(info.tobuf() + bytes(1024))
    with pytest.raises(MscolError, match=r"archive.*'a\.wav'.*1000 TB"):
        unpacked(tmp_path / "to", archive, "tar.gz")
    assert contents(tmp_path / "to") == {}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><html>404</html>", "it is a web page and not an archive"),
        (b"\xef\xbb\xbf<HTML>", "it is a web page and not an archive"),
        (b"not found", "not a (zip|gzipped) file"),
    ],
)
def test_what_came_in_place_of_an_archive_is_named(
    tmp_path: Path, kind: str, content: bytes, what: str
) -> None:
    with pytest.raises(MscolError, match=f"(?i)archive.*damaged.*{what}.*delete"):
        unpacked(tmp_path / "to", content, kind)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_damage_anywhere_is_an_error_and_never_a_crash_or_less(tmp_path: Path, kind: str) -> None:
    members = {f"{n}/a.mp3": NOTE[n : n + 200] for n in range(3)}
    archive = make(kind, members)
    rng = random.Random(0)
    for trial in range(150):
        damaged = bytearray(archive if kind == "zip" else gzip.decompress(archive))
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        content = bytes(damaged) if kind == "zip" else gzip.compress(bytes(damaged), 1)
        with suppress(MscolError):
            unpacked(tmp_path / str(trial) / "to", content, kind)
            assert len(contents(tmp_path / str(trial) / "to")) == len(members)


def test_what_is_in_a_zip_must_fit_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mscol_cli.system.files.free_bytes", lambda _: len(NOTE))
    with pytest.raises(MscolError, match=r"archive.*6\.00 MB"):
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
