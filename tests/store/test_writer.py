"""Writing a store: resumable at any byte, honest about what it holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mscol_cli.errors import BadInputError, MscolError, UsageError
from mscol_cli.store import FailureRecord, FileStamp, SeparatorIdentity, Store, StoreWriter
from tests.helpers.files import digests

IDENTITY = SeparatorIdentity("stems", "mscol", "0.1.0", {"names": ["vocals"]})
LENGTHS = (20_000, 63_120, 130_000, 15_920, 70_000)


def waves(length: int, seed: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    mixture = rng.uniform(-0.7, 0.7, length).astype(np.float32)
    return {"mixture": mixture, "vocals": 1e-3 * mixture[::-1].copy()}


def stamps(track: int) -> dict[str, FileStamp]:
    return {"mixture": FileStamp(f"{track}.wav", 10, track, "00")}


def open_writer(path: Path, identity: SeparatorIdentity = IDENTITY) -> StoreWriter:
    return StoreWriter(path, ("vocals",), identity)


def add(writer: StoreWriter, track: int) -> None:
    writer.add(f"t{track}", stamps(track), waves(LENGTHS[track], track))


def write_store(path: Path, tracks: range = range(len(LENGTHS))) -> Path:
    with open_writer(path) as writer:
        for track in tracks:
            add(writer, track)
        writer.seal()
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("whole") / "a.store")


def test_a_shard_opens_with_numpy_alone(whole: Path) -> None:
    (path,) = (whole / "shards").iterdir()
    shard = np.load(path, mmap_mode="r")
    assert shard.dtype == np.int16
    assert shard.shape == (2 * sum(LENGTHS),)


@pytest.mark.parametrize("done", range(1, len(LENGTHS)))
def test_a_writer_killed_inside_a_track_leaves_no_trace(
    whole: Path, tmp_path: Path, done: int
) -> None:
    path = tmp_path / "a.store"
    with open_writer(path) as writer:
        for track in range(done):
            add(writer, track)
    for name in ("levels.npy", "tracks.jsonl", "shards/00000.npy"):
        torn = path / name
        torn.parent.mkdir(parents=True, exist_ok=True)
        with torn.open("ab") as file:
            file.write(b'{"id": "torn')
    with open_writer(path) as writer:
        assert writer.stored.tracks == {f"t{track}" for track in range(done)}
        for track in range(done, len(LENGTHS)):
            add(writer, track)
        writer.seal()
    assert digests(path) == digests(whole)


@pytest.mark.slow
@pytest.mark.processes
def test_a_killed_process_is_gone_on_with(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for patience in (0.0, 0.01, 0.02):
        with subprocess.Popen(
            [sys.executable, __file__, str(path)], stdout=subprocess.PIPE, env=environment
        ) as child:
            assert child.stdout is not None
            assert child.stdout.read(1) == b"."
            time.sleep(patience)
            child.kill()
    with open_writer(path) as writer:
        for track in range(len(LENGTHS)):
            if f"t{track}" not in writer.stored.tracks:
                add(writer, track)
        writer.seal()
    assert digests(path) == digests(whole)


def test_killed_before_the_seal_needs_only_the_seal(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with open_writer(path) as writer:
        for track in range(len(LENGTHS)):
            add(writer, track)
    with open_writer(path) as writer:
        writer.seal()
    assert digests(path) == digests(whole)


def test_appending_to_a_sealed_store_equals_writing_it_at_once(whole: Path, tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.store", range(2))
    write_store(path, range(2, len(LENGTHS)))
    assert digests(path) == digests(whole)


def test_a_crash_while_appending_forgets_no_changed_checksum(whole: Path, tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.store", range(2))
    with open_writer(path) as writer:
        add(writer, 2)
        add(writer, 3)
    with open_writer(path) as writer:
        add(writer, 4)
        writer.seal()
    assert digests(path) == digests(whole)


def test_sealing_a_finished_store_writes_nothing(tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.store")
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    with open_writer(path) as writer:
        writer.seal()
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


def test_a_newer_record_supersedes(tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.store", range(3))
    changed = waves(80_000, 9)
    with open_writer(path) as writer:
        writer.add("t1", stamps(1), changed)
        writer.seal()
    store = Store.open(path)
    assert store.index.track_ids == ("t0", "t1", "t2")
    assert store.header.tracks == 3
    np.testing.assert_allclose(store.waveform(1), changed["mixture"], atol=2e-5)


def test_a_seal_counts_and_names_failures(tmp_path: Path) -> None:
    with open_writer(tmp_path / "a.store") as writer:
        add(writer, 1)
        header = writer.seal([FailureRecord("bad.wav", "is empty")])
    assert (header.tracks, header.segments, header.failures) == (1, 1, 1)
    assert "is empty" in (tmp_path / "a.store" / "failures.jsonl").read_text()


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (SeparatorIdentity("openunmix"), "separator stems -> openunmix"),
        (SeparatorIdentity("stems", options={"names": ["bass"]}), "names vocals -> bass"),
    ],
)
def test_another_separator_is_refused(whole: Path, other: SeparatorIdentity, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        open_writer(whole, other)


def test_a_newer_version_of_the_same_separator_goes_on(whole: Path) -> None:
    identity = SeparatorIdentity("stems", "mscol", "0.2.0", {"names": ["vocals"]})
    assert len(open_writer(whole, identity).stored.tracks) == len(LENGTHS)


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("important")
    with pytest.raises(UsageError, match="neither empty nor a store"):
        open_writer(tmp_path)


def test_two_writers_at_once_are_refused(tmp_path: Path) -> None:
    with open_writer(tmp_path / "a.store") as first, open_writer(tmp_path / "a.store") as second:
        add(first, 0)
        with pytest.raises(MscolError, match="another mscol"):
            add(second, 0)


def test_a_shortened_shard_is_noticed(tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.store", range(1))
    shard = path / "shards" / "00000.npy"
    shard.write_bytes(shard.read_bytes()[:-2])
    with open_writer(path) as writer, pytest.raises(MscolError, match="shorter than its index"):
        add(writer, 1)


def test_too_short_and_not_finite_tracks_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    broken = waves(20_000, 0)
    broken["vocals"][7] = np.nan
    with open_writer(tmp_path / "a.store") as writer:
        with pytest.raises(BadInputError, match=r"0\.99 s"):
            writer.add("short", stamps(0), waves(15_919, 0))
        with pytest.raises(BadInputError, match=r"vocals .*NaN"):
            writer.add("broken", stamps(0), broken)
    assert not (tmp_path / "a.store").exists()


def test_holds_looks_at_content_when_the_time_differs(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(b"one")
    with open_writer(tmp_path / "a.store") as writer:
        writer.add("a", {"mixture": FileStamp.of(source)}, waves(20_000, 0))
        writer.seal()
    writer = open_writer(tmp_path / "a.store")
    source.write_bytes(b"one")
    assert writer.stored.holds("a", {"mixture": source})
    source.write_bytes(b"two")
    assert not writer.stored.holds("a", {"mixture": source})
    assert not writer.stored.holds("b", {"mixture": source})


def _write_until_killed(path: Path) -> None:
    with open_writer(path) as writer:
        sys.stdout.write(".")
        sys.stdout.flush()
        for track in range(len(LENGTHS)):
            if f"t{track}" not in writer.stored.tracks:
                add(writer, track)
    time.sleep(60)


if __name__ == "__main__":
    _write_until_killed(Path(sys.argv[1]))
