"""A folder of vectors as one file, in every format."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.errors import MscolError, UsageError
from mscol_cli.vectors import FileVersion, VectorFolder, VectorWriter, export
from mscol_cli.vectors.export import check_export_path, export_vectors
from tests.conftest import Command
from tests.helpers.downloads import contents
from tests.helpers.messages import mentions
from tests.helpers.vectors import FORMATS, read_table
from tests.vectors.test_folder import HEADER, add, opened, vectors

Capture = pytest.CaptureFixture[str]
AWKWARD = ('say "a", b\n', "näme/日本", os.fsdecode(b"latin-\xe9.mp3"))
VALUES = np.array([[0.1, -1e-30, 1], [3.4e38, 1 / 3, 2], [0.0, 7.0, 3]], dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files in two shards, one of them replaced, and one that failed."""
    with opened(tmp_path / "v") as first, opened(tmp_path / "v") as second:
        first.add("b", FileVersion("/b", 1, 1), vectors(2, 50.0))
        first.add("c", FileVersion("/c", 1, 1), vectors(4))
        second.add("a", FileVersion("/a", 1, 1), vectors(3))
        second.fail("d", FileVersion("/d", 1, 1), "d: is empty")
    add(tmp_path / "v", {FileVersion("c", 2, 2): vectors(1, 7.0)})
    return tmp_path / "v"


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_are_in_the_order_of_ids_and_windows(
    folder: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_BLOCK_ROWS", 3)
    path = folder.parent / f"out{suffix}"
    assert export_vectors(VectorFolder.open(folder), path) == 6
    table = read_table(path)
    assert table.ids == ("a", "a", "a", "b", "b", "c")
    assert table.start_s is not None
    assert table.start_s.tolist() == [0.0, 0.98, 1.96, 0.0, 0.98, 0.0]
    np.testing.assert_array_equal(table.embeddings, VectorFolder.open(folder).matrix())


@pytest.mark.parametrize("suffix", [*FORMATS, ".NPZ"])
def test_awkward_names_survive(tmp_path: Path, suffix: str) -> None:
    header = replace(HEADER, pool="mean")
    with VectorWriter(VectorFolder(tmp_path / "v", header)) as writer:
        for name, row in zip(AWKWARD, VALUES, strict=True):
            writer.add(name, FileVersion(name, 1, 1), row[None])
    path = tmp_path / "new" / f"out{suffix}"
    export_vectors(VectorFolder.open(tmp_path / "v"), path)
    beside = [f"{path.name}.json"] if suffix == ".csv" else []
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, *beside]
    table = read_table(path)
    # Parquet is UTF-8 only.
    last = "latin-\\udce9.mp3" if suffix == ".parquet" else AWKWARD[2]
    assert dict(zip(table.ids, table.embeddings.tolist(), strict=True)) == dict(
        zip((*AWKWARD[:2], last), VALUES.tolist(), strict=True)
    )
    assert table.start_s is None


@pytest.mark.parametrize("suffix", FORMATS)
def test_half_precision_stays_half(tmp_path: Path, suffix: str) -> None:
    header = replace(HEADER, precision="float16")
    with VectorWriter(VectorFolder(tmp_path / "v", header)) as writer:
        writer.add("a", FileVersion("/a", 1, 1), vectors(2) / np.float32(3))
    export_vectors(VectorFolder.open(tmp_path / "v"), tmp_path / f"out{suffix}")
    table = read_table(tmp_path / f"out{suffix}")
    assert table.embeddings.dtype == (np.float32 if suffix == ".csv" else np.float16)
    np.testing.assert_array_equal(table.embeddings, (vectors(2) / np.float32(3)).astype(np.float16))


def test_damaged_vectors_are_not_exported(folder: Path) -> None:
    with (folder / "00000.f32").open("r+b") as file:
        file.write(b"\1")
    (folder.parent / "out.npz").write_text("mine")
    with pytest.raises(MscolError, match=r"the vectors of b are damaged: delete 00000\.f32"):
        export_vectors(VectorFolder.open(folder), folder.parent / "out.npz")
    assert (folder.parent / "out.npz").read_text() == "mine"


def test_an_export_that_fails_keeps_the_csv_and_its_provenance(folder: Path) -> None:
    export_vectors(VectorFolder.open(folder), folder.parent / "out.csv")
    before = contents(folder.parent)
    with (folder / "00000.f32").open("r+b") as file:
        file.write(b"\1")
    with pytest.raises(MscolError, match="damaged"):
        export_vectors(VectorFolder.open(folder), folder.parent / "out.csv")
    after = contents(folder.parent)
    assert {"out.csv", "out.csv.json"} <= after.keys()
    assert all(after[name] == before[name] for name in ("out.csv", "out.csv.json"))


def test_ids_that_safetensors_cannot_hold_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_SAFETENSORS_HEADER", 100)
    with pytest.raises(UsageError, match=r"use \.npz or \.parquet"):
        export_vectors(VectorFolder.open(folder), folder.parent / "out.safetensors")


def test_parquet_without_its_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"mscol\[parquet\]"):
        check_export_path(tmp_path / "out.parquet")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        check_export_path(tmp_path / "out.csv")


def test_the_command_exports(mscol: Command, folder: Path, capsys: Capture) -> None:
    assert mscol("vectors", "export", folder, "-o", "out.npz") == 0
    assert "3 clips, 6 vectors, by mine@6" in capsys.readouterr().out
    assert read_table(folder.parent / "out.npz").ids[-1] == "c"
    assert mscol("vectors", "export", folder, "-o", "out.txt") == 2
    assert mscol("vectors", "export", folder.parent, "-o", "out.npz") == 4


def test_a_path_that_cannot_be_written_is_named_with_advice(
    mscol: Command, folder: Path, capsys: Capture
) -> None:
    Path("file").touch()
    assert mscol("vectors", "export", folder, "-o", "file/out.npz") == 1
    assert mentions(capsys.readouterr().err, "file/out.npz cannot be written", "another path with")


def test_the_command_describes_a_folder(mscol: Command, folder: Path, capsys: Capture) -> None:
    assert mscol("vectors", "info", folder) == 0
    printed = capsys.readouterr().out
    assert "3 clips, 6 vectors, 3 dimensions" in printed
    assert "windows of 0.995 s every 0.980 s" in printed
    assert "of which 48 bytes are unused" in printed
    assert mscol("vectors", "ls", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == ["a", "b", "c", "d:"]
    assert lines[3].endswith("d: d: is empty")


def test_verify_names_the_first_clips_of_a_damaged_shard(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "many"
    add(folder, {FileVersion(f"{row:02}", 1, 1): vectors(1) for row in range(12)})
    (folder / "00000.f32").write_bytes(b"")
    assert mscol("vectors", "verify", folder) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "checksum" in line]) == 5
    assert any("00000.f32: 7 more" in line for line in lines)


def test_verify_names_what_is_damaged(mscol: Command, folder: Path, capsys: Capture) -> None:
    assert mscol("vectors", "verify", folder) == 0
    with (folder / "00000.f32").open("r+b") as file:
        file.write(b"\1")
    index = folder / "00001.jsonl"
    index.write_bytes(b"{broken\n" + index.read_bytes() + b'{"id":"torn')
    assert mscol("vectors", "verify", folder) == 1
    message = capsys.readouterr().err
    assert "00000.f32: the vectors of b do not match" in message
    assert "00001.jsonl: line 1 is damaged" in message
    assert "torn" not in message
    (folder / "00001.f32").unlink()
    assert mscol("vectors", "verify", folder) == 4
    assert "00001.f32: is missing" in capsys.readouterr().err


def test_ids_in_csv_are_no_formulas(tmp_path: Path) -> None:
    names = ("=1+1.wav", "-a.wav", "b.wav")
    add(tmp_path / "v", {FileVersion(name, 1, 1): vectors(1) for name in names})
    export_vectors(VectorFolder.open(tmp_path / "v"), tmp_path / "v.csv")
    rows = (tmp_path / "v.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["'-a.wav", "'=1+1.wav", "b.wav"]
