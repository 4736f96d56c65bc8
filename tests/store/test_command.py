"""`mscol store`: what is in a store, whether it is whole, and tracks taken out of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mscol_cli.audio import read_audio
from mscol_cli.contracts.progress import Silent
from mscol_cli.store import FailureRecord, FileStamp, SeparatorIdentity, Store, StoreWriter
from mscol_cli.store.verify import run as verify
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions

Capture = pytest.CaptureFixture[str]
IDENTITY = SeparatorIdentity(
    "openunmix", "mscol", "0.1.0", {"niter": 1}, {"model": "umxl", "licence": "CC BY-NC-SA 4.0"}
)


@pytest.fixture
def copy(store: Path, tmp_path: Path) -> Path:
    """A store of one's own, to damage."""
    return Path(shutil.copytree(store, tmp_path / "a.store"))


def write_store(
    path: Path, *tracks: str, failures: tuple[FailureRecord, ...] = (), gain: float = 1.0
) -> Path:
    with StoreWriter(path, ("vocals",), IDENTITY) as writer:
        for row, name in enumerate(tracks):
            wave = tones(1.5, seed=row)[0]
            waves = {"mixture": gain * wave, "vocals": 0.25 * gain * wave}
            writer.add(name, {"mixture": FileStamp(f"{row}.wav", 1, 1, "ab" * 32)}, waves)
        writer.seal(failures)
    return path


def printed(mscol: Command, capsys: Capture, *arguments: object, code: int = 0) -> Any:
    assert mscol("store", *arguments, "--json") == code
    content = json.loads(capsys.readouterr().out)
    return content.get("items", content)


def edit_tracks(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change every record, and make the checksum fit."""
    lines = (path / "tracks.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        change(record)
    (path / "tracks.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    digest = sha256((path / "tracks.jsonl").read_bytes()).hexdigest()
    edit_header(path, lambda header: header["checksums"].update({"tracks.jsonl": digest}))


def edit_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    header = json.loads((path / "store.json").read_text())
    change(header)
    (path / "store.json").write_text(json.dumps(header))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def test_info_says_what_a_store_holds(mscol: Command, store: Path, capsys: Capture) -> None:
    found = printed(mscol, capsys, "info", store)
    opened = Store.open(store)
    assert (found["sealed"], found["tracks"], found["failures"]) == (True, 8, 0)
    assert found["hours"] == pytest.approx(40 / 3600, abs=1e-6)
    assert found["bytes"] == sum(path.stat().st_size for path in store.rglob("*.*"))
    assert found["separator"]["options"]["names"] == ["vocals", "drums", "bass", "other"]
    sounding = (opened.index.segment_level > 0.01).mean(axis=0)
    assert list(found["active"]) == list(opened.index.sources)
    assert list(found["active"].values()) == pytest.approx(sounding.tolist())
    assert 0 < found["active"]["vocals"] < 1
    assert found["hash"] == opened.hash


def test_info_names_model_licence_and_failures(mscol: Command, capsys: Capture) -> None:
    write_store(Path("a.store"), "x", failures=(FailureRecord("bad", "is empty"),))
    assert mscol("store", "info", "a.store") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("a.store: sealed\ntracks 1, music 1.5 s, segments 1, ")
    assert "inputs that failed: 1\nseparator: openunmix, by mscol 0.1.0\n  niter: 1\n" in shown
    assert "  model: umxl\n  licence: CC BY-NC-SA 4.0\n" in shown
    assert "  mixture: 100.0%" in shown


def test_info_counts_what_an_unfinished_store_holds_so_far(mscol: Command, capsys: Capture) -> None:
    write_store(Path("a.store"), "x", "y")
    edit_header(Path("a.store"), lambda header: header.update(sealed=False, tracks=0))
    found = printed(mscol, capsys, "info", "a.store")
    assert (found["sealed"], found["tracks"], found["segments"]) == (False, 2, 2)
    assert (found["active"], found["failures"], found["hash"]) == (None, None, None)
    assert mscol("store", "info", "a.store") == 0
    assert "mscol separate" in capsys.readouterr().out


def test_ls_lists_every_track_with_the_sources_that_sound(
    mscol: Command, store: Path, capsys: Capture
) -> None:
    index = Store.open(store).index
    listed = printed(mscol, capsys, "ls", store)
    assert [track["id"] for track in listed] == list(index.track_ids)
    for row, track in enumerate(listed):
        loudest = index.segment_level[index.segment_track == row].max(axis=0)
        sounding = [name for name, on in zip(index.sources, loudest > 0.01, strict=True) if on]
        assert track["sources"] == [name for name in sounding if name != "mixture"]
        assert (track["seconds"], track["segments"]) == (5.0, 1)
    assert len({tuple(track["sources"]) for track in listed}) > 1
    assert mscol("store", "ls", store) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=3)[3] for line in lines] == list(index.track_ids)


def test_a_name_with_a_line_end_stays_on_its_line(mscol: Command, capsys: Capture) -> None:
    write_store(Path("a.store"), "x\n\x1b[31my")
    for command in ("ls", "manifest"):
        assert mscol("store", command, "a.store") == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert r"'x\n\x1b[31my'" in line


def test_the_manifest_accounts_for_every_input(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    music = tmp_path / "music"
    for name in ("cut.wav", "cut.mp3", "good.flac", "short.wav"):
        write_audio(music / name, tones(0.5 if name == "short.wav" else 4.0))
    for name in ("cut.wav", "cut.mp3"):
        (music / name).write_bytes(
            (music / name).read_bytes()[: (music / name).stat().st_size // 2]
        )
    (music / "empty.wav").touch()
    (music / "words.wav").write_text("not music " * 100)
    assert mscol("separate", music, "--separator", "none") == 3
    capsys.readouterr()
    listed = {line["file"]: line for line in printed(mscol, capsys, "manifest", "music.store")}
    assert set(listed) == {path.name for path in music.iterdir()}
    assert {name: line["status"] for name, line in listed.items()} == {
        "cut.mp3": "short",
        "cut.wav": "failed",
        "empty.wav": "failed",
        "good.flac": "done",
        "short.wav": "failed",
        "words.wav": "failed",
    }
    for name, line in listed.items():
        assert line["sha256"] == sha256((music / name).read_bytes()).hexdigest()
    lengths = {name: (line["seconds"], line["declared_seconds"]) for name, line in listed.items()}
    assert lengths["good.flac"] == (4.0, 4.0)
    assert lengths["short.wav"] == (0.5, 0.5)
    assert lengths["cut.wav"] == pytest.approx((2.0, 4.0), abs=0.3)
    assert lengths["cut.mp3"] == pytest.approx((2.0, 4.0), abs=0.3)
    assert lengths["words.wav"] == lengths["empty.wav"] == (None, None)
    assert "header" in listed["cut.mp3"]["reason"]
    assert "truncated" in listed["cut.wav"]["reason"]
    assert "one crop needs" in listed["short.wav"]["reason"]
    assert listed["good.flac"]["reason"] is None


def test_the_manifest_of_stems_has_a_line_for_each_file(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    write_audio(tmp_path / "music" / "song" / "bass.wav", tones(1.5))
    write_audio(tmp_path / "music" / "song" / "drums.wav", tones(1.2))
    write_audio(tmp_path / "music" / "rest" / "guitar.wav", tones(1.5))
    assert mscol("separate", "music", "--separator", "stems") == 3
    capsys.readouterr()
    assert mscol("store", "manifest", "music.store") == 0
    rest, bass, drums = capsys.readouterr().out.splitlines()
    assert rest.startswith("failed         -         - -            rest: ")
    assert "no stem named" in rest
    assert bass.split()[:3] == ["done", "1.50", "1.50"]
    assert bass.endswith(" song [bass]")
    assert drums.split()[:3] == ["done", "1.20", "1.20"]


def test_the_manifest_of_a_store_without_lengths_leaves_them_open(
    mscol: Command, copy: Path, capsys: Capture
) -> None:
    def forget(record: dict[str, Any]) -> None:
        for file in record["files"].values():
            del file["seconds"], file["declared_seconds"]

    edit_tracks(copy, forget)
    listed = printed(mscol, capsys, "manifest", copy)
    assert {(line["status"], line["seconds"]) for line in listed} == {("done", None)}
    collection = Store.open(copy)
    assert {line["input"] for line in listed} == set(collection.index.track_ids)


def test_a_whole_store_is_verified(mscol: Command, store: Path, capsys: Capture) -> None:
    assert mscol("store", "verify", store) == 0
    shown = capsys.readouterr().out
    assert mentions(shown, "4 files", "(6.4")
    assert "MB, 8 tracks)" in shown
    result = printed(mscol, capsys, "verify", store)
    assert (result["files"], result["missing"], result["damaged"]) == (4, [], [])


def test_verifying_reports_progress_in_megabytes(store: Path) -> None:
    class Bar(Silent):
        total = seen = 0

        def begin(self, title: str, total: int | None, unit: str) -> None:
            assert unit == "MB"
            self.total = total or 0

        def advance(self, amount: int = 1, **fields: str) -> None:
            self.seen += amount

    bar = Bar()
    assert verify(store, bar).bytes == pytest.approx(6.4e6, rel=0.01)
    assert bar.seen == bar.total == 6


@pytest.mark.parametrize(
    "name", ["shards/00000.npy", "levels.npy", "tracks.jsonl", "failures.jsonl"]
)
def test_a_changed_file_is_named(mscol: Command, copy: Path, name: str, capsys: Capture) -> None:
    if name == "failures.jsonl":
        (copy / name).write_text("{}\n")
    else:
        flip(copy / name)
    assert mscol("store", "verify", copy) == 1
    captured = capsys.readouterr()
    assert f"warning: {name}: " in captured.err
    assert captured.err.splitlines()[-1].startswith(f"error: {copy} ")
    assert captured.out == ""


def test_missing_files_are_all_named(mscol: Command, copy: Path, capsys: Capture) -> None:
    (copy / "shards" / "00000.npy").unlink()
    (copy / "levels.npy").unlink()
    result = printed(mscol, capsys, "verify", copy, code=4)
    assert result["missing"] == ["shards/00000.npy", "levels.npy"]
    assert result["damaged"] == []
    assert mscol("store", "verify", copy) == 4
    assert "warning: levels.npy: " in capsys.readouterr().err


def place(record: dict[str, Any], **values: int) -> None:
    record.update(values)


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "offset": (
        lambda record: record["sources"]["bass"].update(offset=10**9),
        "shards/00000.npy",
    ),
    "negative": (lambda record: record["sources"]["bass"].update(offset=-1), "bass reaches beyond"),
    "long": (lambda record: place(record, samples=10**9), "mixture reaches beyond"),
    "levels": (lambda record: place(record, level_row=8), "its levels reach beyond levels.npy"),
    "segments": (lambda record: place(record, segments=2), "1 segments, not 2"),
    "sources": (lambda record: record["sources"].pop("bass"), "has the sources mixture, vocals"),
    "shard": (lambda record: place(record, shard=7), "checksum of shards/00007.npy"),
    "fields": (
        lambda record: record.pop("samples"),
        "tracks.jsonl: a line of its tracks is damaged",
    ),
    "ids": (lambda record: record.update(id="one"), "has tracks 8, but tracks.jsonl has 1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGE)
def test_an_index_that_points_elsewhere_is_found_though_its_checksum_fits(
    mscol: Command, copy: Path, kind: str, capsys: Capture
) -> None:
    change, message = DAMAGE[kind]
    edit_tracks(copy, change)
    result = printed(mscol, capsys, "verify", copy, code=1)
    assert message in result["damaged"][0] + result["damaged"][-1]


def test_a_checksum_that_is_lost_or_leads_out_of_the_store_is_damage(
    mscol: Command, copy: Path, capsys: Capture
) -> None:
    def change(header: dict[str, Any]) -> None:
        del header["checksums"]["levels.npy"]
        header["checksums"]["../outside"] = "00"

    edit_header(copy, change)
    result = printed(mscol, capsys, "verify", copy, code=1)
    assert result["damaged"] == [
        "store.json: names a file outside of the store, '../outside'",
        "store.json: lacks a checksum of levels.npy",
    ]


def test_export_takes_tracks_out_at_16_khz(
    mscol: Command, store: Path, tmp_path: Path, capsys: Capture
) -> None:
    opened = Store.open(store)
    wanted = opened.index.track_ids[2:4]
    result = printed(mscol, capsys, "export", store, *wanted, "-o", "out", "--format", "wav")
    assert (result["tracks"], result["written"], result["kept"]) == (2, 10, 0)
    for row, name in enumerate(wanted, 2):
        for number, source in enumerate(opened.index.sources):
            audio = read_audio(tmp_path / "out" / name / f"{source}.wav")
            assert audio.sample_rate == 16000
            expected = opened.waveform(row, number)
            np.testing.assert_allclose(audio.samples, expected[None], atol=0.6 / 32768)
    assert not (tmp_path / "out" / opened.index.track_ids[0]).exists()


def test_export_of_all_tracks_keeps_what_is_there(
    mscol: Command, store: Path, tmp_path: Path, capsys: Capture
) -> None:
    name = Store.open(store).index.track_ids[0]
    mine = tmp_path / "out" / name / "bass.flac"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    command = ["export", store, "--all", "-o", "out", "--source", "bass", "--source", "mixture"]
    result = printed(mscol, capsys, *command)
    assert (result["tracks"], result["written"], result["kept"]) == (8, 15, 1)
    assert mine.read_text() == "mine"
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} >= {"bass.flac", "mixture.flac"}
    assert len(list((tmp_path / "out").rglob("*.flac"))) == 16
    assert printed(mscol, capsys, *command)["written"] == 0


def test_export_turns_down_what_exceeds_full_scale(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    store = Store.open(write_store(Path("a.store"), "x", gain=4.0))
    assert store.peak(0) > 1
    assert mscol("store", "export", "a.store", "x", "-o", "out") == 0
    assert "1 track " in capsys.readouterr().out
    for number, source in enumerate(store.index.sources):
        copy = read_audio(tmp_path / "out" / "x" / f"{source}.flac").samples[0]
        expected = store.waveform(0, number) / store.peak(0)
        np.testing.assert_allclose(copy, expected, atol=2 / 32768)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["song 1", "-o", "out"], "Nearest: disc/song 1, disc/song 2. 'mscol store ls a.store'"),
        (["zzz", "-o", "out"], "'mscol store ls a.store'"),
        (["x", "-o", "out", "--source", "vocal"], "'vocals'"),
        (["x", "-o", "out", "--format", "mp3"], "--format takes flac, wav, ogg, not 'mp3'"),
        (["x", "--all", "-o", "out"], "name tracks, or --all of them"),
        (["-o", "out"], "name tracks, or --all of them"),
        (["x", "-o", "a.store/out"], "lies in the store"),
        (["x"], "Missing option '-o' / '--output'"),
    ],
)
def test_a_mistaken_export_is_one_line_and_code_2(
    mscol: Command, tmp_path: Path, arguments: list[str], message: str, capsys: Capture
) -> None:
    write_store(Path("a.store"), "disc/song 1", "disc/song 2", "x")
    assert mscol("store", "export", "a.store", *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"a.store"}


def test_no_name_in_a_store_leads_out_of_the_export(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    write_store(Path("a.store"), "../../evil", str(tmp_path / "evil"), "good")
    assert mscol("store", "export", "a.store", "--all", "-o", "deep/out") == 3
    assert capsys.readouterr().err.count("deep/out") == 2
    assert not list(tmp_path.parent.rglob("evil*"))
    assert [path.name for path in (tmp_path / "deep" / "out").iterdir()] == ["good"]


def test_a_shard_that_lost_samples_is_not_exported(
    mscol: Command, copy: Path, tmp_path: Path, capsys: Capture
) -> None:
    shard = np.load(copy / "shards" / "00000.npy")
    np.save(copy / "shards" / "00000.npy", shard[:100_000])
    assert mscol("store", "export", copy, "--all", "-o", "out") == 1
    assert "mscol store verify" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_a_failure(
    mscol: Command, store: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train").touch()
    assert mscol("store", "export", store, "--all", "-o", "out") == 3
    error = capsys.readouterr().err
    assert mentions(error, "out", "Not a directory")
    assert mentions(error.splitlines()[-1], "error: ", "8 inputs")


@pytest.mark.parametrize("command", ["info", "ls", "manifest", "verify", "export"])
def test_what_is_no_store_is_told_as_everywhere(
    mscol: Command, copy: Path, tmp_path: Path, command: str, capsys: Capture
) -> None:
    more = ["--all", "-o", "out"] if command == "export" else []
    assert mscol("store", command, "nowhere", *more) == 4
    assert mentions(capsys.readouterr().err, "nowhere", "store.json")
    edit_header(copy, lambda header: header.update(version=0))
    assert mscol("store", command, copy, *more) == 2
    assert "layout 0" in capsys.readouterr().err
    edit_header(copy, lambda header: header.update(version=2, sealed=False))
    if command not in ("info", "manifest"):
        assert mscol("store", command, copy, *more) == 4
        assert "is not finished" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "ls"])
def test_levels_that_were_cut_off_are_told(
    mscol: Command, copy: Path, command: str, capsys: Capture
) -> None:
    (copy / "levels.npy").write_bytes((copy / "levels.npy").read_bytes()[:200])
    assert mscol("store", command, copy) == 1
    assert "levels.npy: " in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "ls", "manifest"])
def test_a_store_that_lost_its_index_is_told(
    mscol: Command, copy: Path, command: str, capsys: Capture
) -> None:
    (copy / "tracks.jsonl").unlink()
    assert mscol("store", command, copy) == 4
    assert "tracks.jsonl" in capsys.readouterr().err
