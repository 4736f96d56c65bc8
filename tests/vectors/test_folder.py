"""Vectors on disk: what was added is read, whatever happened to the process or the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mscol_cli.contracts.progress import Silent
from mscol_cli.errors import MissingDataError, MscolError, UsageError
from mscol_cli.vectors import FileVersion, VectorFolder, VectorHeader, VectorWriter, verify, writer
from mscol_cli.vectors.export import export_vectors

HEADER = VectorHeader("mine@6", "abc", "small", 16000, 15920, 15680, "unit-rms", dim=3)
A, B = FileVersion("/music/a.wav", 10, 1), FileVersion("/music/\udce9.wav", 20, 2)


def vectors(windows: int, first: float = 0.0) -> NDArray[np.float32]:
    return np.arange(first, first + windows * 3, dtype=np.float32).reshape(windows, 3)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with one vector of A and three of B."""
    add(tmp_path / "v", {A: vectors(1), B: vectors(3, 100.0)})
    return tmp_path / "v"


def opened(path: Path) -> VectorWriter:
    return VectorWriter(VectorFolder(path, HEADER))


def add(path: Path, files: Mapping[FileVersion, NDArray[np.float32]]) -> None:
    with opened(path) as writer:
        for file, rows in files.items():
            writer.add(file.path, file, rows)


def read(path: Path, file: FileVersion) -> list[list[float]] | None:
    folder = VectorFolder(path, HEADER)
    entry = folder.find(file.path)
    if entry is None or entry.version != file:
        return None
    rows: list[list[float]] = folder.read(entry).tolist()
    return rows


def test_what_was_added_is_read(filled: Path) -> None:
    assert read(filled, A) == vectors(1).tolist()
    assert read(filled, B) == vectors(3, 100.0).tolist()


def test_an_absent_folder_holds_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "none", A) is None


def test_another_version_of_a_file_is_another_file(filled: Path) -> None:
    assert read(filled, FileVersion(A.path, A.size, A.mtime_ns + 1)) is None
    assert read(filled, FileVersion(A.path, A.size + 1, A.mtime_ns)) is None


def test_a_folder_grows(filled: Path) -> None:
    later = FileVersion("/music/c.wav", 30, 3)
    add(filled, {later: vectors(2, 7.0)})
    assert read(filled, later) == vectors(2, 7.0).tolist()
    assert read(filled, B) == vectors(3, 100.0).tolist()
    assert len(list(filled.glob("*.f32"))) == 1


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.parametrize("flock", [no_locks, lambda *_: None])
def test_where_locks_have_no_effect_no_shard_has_two_writers(
    filled: Path, monkeypatch: pytest.MonkeyPatch, flock: Callable[..., None]
) -> None:
    monkeypatch.setattr(fcntl, "flock", flock)
    files = [FileVersion(f"/music/{number}.wav", 1, number) for number in range(6)]
    with opened(filled) as first, opened(filled) as second:
        for number, file in enumerate(files):
            writing = (first, second)[number % 2]
            writing.add(file.path, file, vectors(2, number))
            writing.flush()
    for number, file in enumerate(files):
        assert read(filled, file) == vectors(2, number).tolist()
    assert read(filled, A) == vectors(1).tolist()
    assert len(list(filled.glob("*.f32"))) == 3


def test_only_files_are_locked_as_nfs_locks_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, real = list[bool](), fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        locked.append(stat.S_ISREG(os.fstat(descriptor).st_mode))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    add(tmp_path / "v", {A: vectors(1)})
    assert locked
    assert all(locked)
    suffixes = {path.suffix for path in (tmp_path / "v").iterdir()}
    assert suffixes == {".json", ".jsonl", ".f32"}  # no lock stays


def test_vectors_of_another_model_are_refused(filled: Path) -> None:
    other = replace(HEADER, model="other@1", model_hash="def")
    with pytest.raises(UsageError, match="another model, mine@6, not other@1"):
        VectorWriter(VectorFolder(filled, other))


def test_vectors_with_other_settings_are_refused(filled: Path) -> None:
    other = replace(HEADER, hop=7840, precision="float16")
    message = "hop 0.98 s, not 0.49 s, precision float32, not float16"
    with pytest.raises(UsageError, match=message):
        VectorWriter(VectorFolder(filled, other))


def test_the_name_of_a_model_may_change(filled: Path) -> None:
    VectorWriter(VectorFolder(filled, replace(HEADER, model="renamed@6"))).close()
    assert VectorFolder.open(filled).header.model == "mine@6"


def test_all_that_determines_a_vector_is_in_the_key() -> None:
    changes = {
        "model_hash": "def",
        "encoder": "large",
        "sample_rate": 22050,
        "window": 15921,
        "hop": 7840,
        "level": "none",
        "dim": 4,
        "pool": "mean",
        "precision": "float16",
        "source": "drums",
        "corruption": "noise",
        "implementation": "other 1 {}",
    }
    keys = {VectorHeader(**{**vars(HEADER), name: value}).key for name, value in changes.items()}
    assert len(keys | {HEADER.key}) == len(changes) + 1
    assert changes.keys() == vars(HEADER).keys() - {"model"}


def test_damaged_vectors_are_an_error_until_they_are_added_again(filled: Path) -> None:
    shard = filled / "00000.f32"
    content = bytearray(shard.read_bytes())
    content[1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(MscolError, match=r"/music/a.wav are damaged: delete 00000\.f32"):
        read(filled, A)
    assert read(filled, B) == vectors(3, 100.0).tolist()
    add(filled, {A: vectors(1)})
    assert read(filled, A) == vectors(1).tolist()


def test_a_shard_that_lost_its_end_is_not_continued(filled: Path) -> None:
    shard = filled / "00000.f32"
    shard.write_bytes(shard.read_bytes()[:-1])
    add(filled, {B: vectors(3, 100.0)})
    assert read(filled, A) == vectors(1).tolist()
    assert read(filled, B) == vectors(3, 100.0).tolist()


def test_a_torn_line_is_written_over(filled: Path) -> None:
    index = filled / "00000.jsonl"
    index.write_bytes(index.read_bytes()[:-5])
    assert read(filled, B) is None
    add(filled, {B: vectors(3, 100.0)})
    assert read(filled, A) == vectors(1).tolist()
    assert read(filled, B) == vectors(3, 100.0).tolist()


def test_two_writers_fill_a_shard_each(filled: Path) -> None:
    c, d = FileVersion("/c", 1, 1), FileVersion("/d", 1, 1)
    with opened(filled) as first, opened(filled) as second:
        first.add(c.path, c, vectors(1, 1.0))
        second.add(d.path, d, vectors(1, 2.0))
    assert read(filled, c) == vectors(1, 1.0).tolist()
    assert read(filled, d) == vectors(1, 2.0).tolist()
    assert len(list(filled.glob("*.f32"))) == 2


def test_a_full_shard_is_followed_by_another(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_FULL_SHARD", 60)
    files = [FileVersion(f"/{number}", 1, 1) for number in range(5)]
    add(filled, {file: vectors(2, number) for number, file in enumerate(files)})
    assert [read(filled, file) for file in files] == [vectors(2, n).tolist() for n in range(5)]
    assert len(list(filled.glob("*.f32"))) > 2


_ENDLESS = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from tests.vectors.test_folder import FileVersion, opened
with opened(Path(sys.argv[1])) as writer:
    for number in count():
        vectors = np.full((1 + number % 3, 3), number, np.float32)
        writer.add(f"/{number}", FileVersion(f"/{number}", 1, 1), vectors)
        writer.flush()
        print(number, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_killed_writer_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    line = [sys.executable, "-c", _ENDLESS, str(tmp_path / "v")]
    here = Path(__file__).parents[2]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=here)
    assert process.stdout is not None
    assert any(int(number) == 40 for number in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    add(tmp_path / "v", {A: vectors(1)})
    assert read(tmp_path / "v", A) == vectors(1).tolist()
    for number in range(41):
        found = read(tmp_path / "v", FileVersion(f"/{number}", 1, 1))
        assert found == np.full((1 + number % 3, 3), number).tolist()


def test_a_changed_file_replaces_and_a_removed_one_is_not_listed(filled: Path) -> None:
    changed = FileVersion(A.path, 11, 5)
    with opened(filled) as first, opened(filled) as second:
        second.add(A.path, A, vectors(1, 5.0))
        first.remove(B.path)
    add(filled, {changed: vectors(2, 9.0)})
    folder = VectorFolder.open(filled)
    (entry,) = folder.entries
    assert entry.version == changed
    assert folder.matrix().tolist() == vectors(2, 9.0).tolist()
    assert folder.find(B.path) is None
    add(filled, {B: vectors(1)})
    assert read(filled, B) == vectors(1).tolist()


def test_a_failure_is_listed_without_vectors(filled: Path) -> None:
    with opened(filled) as writer:
        writer.fail(A.path, A, "a.wav: is empty")
    folder = VectorFolder.open(filled)
    entry = folder.entries[0]
    assert (entry.failure, entry.rows, entry.windows) == ("a.wav: is empty", 0, 0)
    assert folder.read(entry).shape == (0, 3)
    assert folder.owners().tolist() == [1, 1, 1]
    assert folder.matrix().tolist() == vectors(3, 100.0).tolist()


def test_silence_is_recorded_only_where_a_file_is_silent(filled: Path) -> None:
    with opened(filled) as writer:
        writer.add("quiet", A, vectors(1), silent=True)
    (index,) = filled.glob("*.jsonl")
    assert index.read_text().count("silent") == 1
    assert [entry.id for entry in VectorFolder.open(filled).entries if entry.silent] == ["quiet"]
    index.write_text(index.read_text().replace('"silent":true', '"silent":"yes"'))
    assert len(VectorFolder.open(filled).entries) == 2


def test_missing_audio_is_recorded_only_where_it_is_missing(filled: Path) -> None:
    with opened(filled) as writer:
        writer.add("short", A, vectors(1), shortfall="1 s shorter than its header says")
    (index,) = filled.glob("*.jsonl")
    assert index.read_text().count("shortfall") == 1
    entries = VectorFolder.open(filled).entries
    found = {entry.id: entry.shortfall for entry in entries if entry.shortfall is not None}
    assert found == {"short": "1 s shorter than its header says"}
    assert len(entries) == 3
    index.write_text(index.read_text().replace('"1 s shorter than its header says"', "[]"))
    assert len(VectorFolder.open(filled).entries) == 2


def test_an_open_folder_sees_what_is_added(filled: Path) -> None:
    folder, later = VectorFolder.open(filled), FileVersion("/music/c.wav", 30, 3)
    add(filled, {later: vectors(2, 7.0)})
    assert len(folder.entries) == 2
    folder.refresh()
    assert [entry.id for entry in folder.entries] == [A.path, later.path, B.path]


def opened_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened from now on."""
    names: list[str] = []
    real = Path.open

    def record(path: Path, *arguments: Any, **options: Any) -> Any:
        names.append(path.name)
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", record)
    return names


def test_only_indexes_that_have_grown_are_opened(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(filled) as first, opened(filled) as second:
        first.add("/1", FileVersion("/1", 1, 1), vectors(1))
        second.add("/2", FileVersion("/2", 1, 1), vectors(1))
        folder = VectorFolder.open(filled)
        second.add("/3", FileVersion("/3", 1, 1), vectors(1))
        second.flush()
        names = opened_files(monkeypatch)
        assert folder.refresh() == {"/2", "/3"}
        assert names == ["00001.jsonl"]


def test_a_shard_is_opened_once_to_verify_and_to_export_all_its_files(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(filled) as first, opened(filled) as second:
        first.add("/1", FileVersion("/1", 1, 1), vectors(1))
        second.add("/2", FileVersion("/2", 1, 1), vectors(1))
    names = opened_files(monkeypatch)
    assert verify.run(filled, Silent()).damaged == []
    assert sorted(name for name in names if name.endswith(".f32")) == ["00000.f32", "00001.f32"]
    names.clear()
    export_vectors(VectorFolder.open(filled), tmp_path / "v.csv")
    assert sorted(name for name in names if name.endswith(".f32")) == ["00000.f32", "00001.f32"]


def test_all_vectors_are_read_in_blocks(filled: Path) -> None:
    with opened(filled) as first, opened(filled) as second:
        first.add("/1", FileVersion("/1", 1, 1), vectors(1, 40.0))
        second.add("/0", FileVersion("/0", 1, 1), vectors(2, 50.0))
    folder = VectorFolder.open(filled)
    blocks = list(folder.scan(rows=3))
    assert [len(block) for block, _, _ in blocks] == [3, 2, 2]
    for block, owners, windows in blocks:
        for row, owner, window in zip(block, owners, windows, strict=True):
            assert row.tolist() == folder.read(folder.entries[owner])[window].tolist()
    everything = np.concatenate([folder.read(entry) for entry in folder.entries])
    np.testing.assert_array_equal(folder.matrix(), everything)


def test_half_precision_takes_half_the_space(tmp_path: Path) -> None:
    folder = VectorFolder(tmp_path / "v", replace(HEADER, precision="float16"))
    with VectorWriter(folder) as writer:
        writer.add("a", A, (vectors(2) / 3).astype(np.float32))
    assert (tmp_path / "v" / "00000.f16").stat().st_size == 2 * 3 * 2
    read_back = VectorFolder.open(tmp_path / "v").matrix()
    assert read_back.dtype == np.float32
    np.testing.assert_allclose(read_back, vectors(2) / 3, rtol=1e-3)


def test_windows_start_at_multiples_of_the_hop(filled: Path) -> None:
    folder = VectorFolder.open(filled)
    assert folder.start_s(folder.entries[1]).tolist() == [0.0, 0.98, 1.96]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="is not a folder of vectors"):
        VectorFolder.open(tmp_path)
    (tmp_path / "vectors.json").write_text('{"layout": "mscol-vectors 1"}')
    with pytest.raises(UsageError, match="mscol-vectors 1"):
        VectorFolder.open(tmp_path)
    (tmp_path / "vectors.json").write_text('{"layout": "mscol-vectors 2", "dim": "3"}')
    with pytest.raises(UsageError, match="is damaged"):
        VectorFolder.open(tmp_path)
