"""Vectors on disk: what was added is read, whatever happened to the process or the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mscol_cli.errors import MscolError
from mscol_cli.vectors import FileVersion, VectorFolder, VectorHeader, VectorWriter, folder

HEADER = VectorHeader("abc", 16000, 15920, 15680, "unit-rms", dim=3)
A, B = FileVersion("/music/a.wav", 10, 1), FileVersion("/music/\udce9.wav", 20, 2)


def vectors(windows: int, first: float = 0.0) -> NDArray[np.float32]:
    return np.arange(first, first + windows * 3, dtype=np.float32).reshape(windows, 3)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with one vector of A and three of B."""
    with VectorWriter(tmp_path / "v", HEADER) as writer:
        writer.add(A, vectors(1))
        writer.add(B, vectors(3, 100.0))
    return tmp_path / "v"


def read(path: Path, file: FileVersion) -> list[list[float]] | None:
    found = VectorFolder(path, HEADER).read(file)
    return None if found is None else found.tolist()


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
    with VectorWriter(filled, HEADER) as writer:
        writer.add(later, vectors(2, 7.0))
    assert read(filled, later) == vectors(2, 7.0).tolist()
    assert read(filled, B) == vectors(3, 100.0).tolist()
    assert len(list(filled.glob("*.f32"))) == 1


def test_vectors_of_another_model_are_refused(filled: Path) -> None:
    other = VectorHeader("def", 16000, 15920, 15680, "unit-rms", dim=3)
    with pytest.raises(MscolError, match="another model"):
        VectorWriter(filled, other)


def test_all_that_determines_a_vector_is_in_the_key() -> None:
    changes = {
        "model_hash": "def",
        "sample_rate": 22050,
        "window": 15921,
        "hop": 7840,
        "level": "none",
        "dim": 4,
        "corruption": "noise",
    }
    keys = {VectorHeader(**{**vars(HEADER), name: value}).key for name, value in changes.items()}
    assert len(keys | {HEADER.key}) == len(changes) + 1


def test_damaged_vectors_are_absent_until_they_are_added_again(filled: Path) -> None:
    shard = filled / "00000.f32"
    content = bytearray(shard.read_bytes())
    content[1] ^= 1
    shard.write_bytes(content)
    assert read(filled, A) is None
    assert read(filled, B) == vectors(3, 100.0).tolist()
    with VectorWriter(filled, HEADER) as writer:
        writer.add(A, vectors(1))
    assert read(filled, A) == vectors(1).tolist()


def test_a_shard_that_lost_its_end_is_not_continued(filled: Path) -> None:
    shard = filled / "00000.f32"
    shard.write_bytes(shard.read_bytes()[:-1])
    with VectorWriter(filled, HEADER) as writer:
        writer.add(B, vectors(3, 100.0))
    assert read(filled, A) == vectors(1).tolist()
    assert read(filled, B) == vectors(3, 100.0).tolist()


def test_a_torn_line_is_written_over(filled: Path) -> None:
    index = filled / "00000.jsonl"
    index.write_bytes(index.read_bytes()[:-5])
    assert read(filled, B) is None
    with VectorWriter(filled, HEADER) as writer:
        writer.add(B, vectors(3, 100.0))
    assert read(filled, A) == vectors(1).tolist()
    assert read(filled, B) == vectors(3, 100.0).tolist()


def test_two_writers_fill_a_shard_each(filled: Path) -> None:
    c, d = FileVersion("/c", 1, 1), FileVersion("/d", 1, 1)
    with VectorWriter(filled, HEADER) as first, VectorWriter(filled, HEADER) as second:
        first.add(c, vectors(1, 1.0))
        second.add(d, vectors(1, 2.0))
    assert read(filled, c) == vectors(1, 1.0).tolist()
    assert read(filled, d) == vectors(1, 2.0).tolist()
    assert len(list(filled.glob("*.f32"))) == 2


def test_a_full_shard_is_followed_by_another(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_FULL_SHARD", 60)
    files = [FileVersion(f"/{number}", 1, 1) for number in range(5)]
    with VectorWriter(filled, HEADER) as writer:
        for number, file in enumerate(files):
            writer.add(file, vectors(2, number))
    assert [read(filled, file) for file in files] == [vectors(2, n).tolist() for n in range(5)]
    assert len(list(filled.glob("*.f32"))) > 2


_ENDLESS = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from tests.vectors.test_folder import HEADER, FileVersion, VectorWriter, folder
folder._FLUSH_SECONDS = 0.0
with VectorWriter(Path(sys.argv[1]), HEADER) as writer:
    for number in count():
        vectors = np.full((1 + number % 3, 3), number, np.float32)
        writer.add(FileVersion(f"/{number}", 1, 1), vectors)
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
    with VectorWriter(tmp_path / "v", HEADER) as writer:
        writer.add(A, vectors(1))
    assert read(tmp_path / "v", A) == vectors(1).tolist()
    for number in range(41):
        found = read(tmp_path / "v", FileVersion(f"/{number}", 1, 1))
        assert found == np.full((1 + number % 3, 3), number).tolist()
