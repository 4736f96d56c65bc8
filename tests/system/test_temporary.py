"""Temporary names are unique, and those of ended processes are removed, of live ones never."""

import errno
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mscol_cli.system import temporary
from mscol_cli.system.files import replace_link, write_atomically, write_text
from mscol_cli.system.temporary import (
    STALE_S,
    is_temporary,
    remove_leftovers,
    temporary_folder,
    temporary_path,
)
from tests.helpers.files import ended_process, leave_behind

ELSEWHERE = "0123abcd"


def by(path: Path, **owner: object) -> Path:
    """A temporary file beside `path`, made by another process."""
    file = leave_behind(path, **owner)
    file.write_text("half")
    return file


def test_names_differ_between_calls_threads_and_processes(tmp_path: Path) -> None:
    code = "from pathlib import Path; from mscol_cli.system.temporary import temporary_path"
    command = [sys.executable, "-c", f"{code}; print(temporary_path(Path('a/b.json')))"]
    others = [subprocess.check_output(command, text=True).strip() for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        own = [*pool.map(lambda _: str(temporary_path(Path("a/b.json"))), range(100))]
    assert len({*others, *own}) == 102
    assert all(
        name.startswith("a/.b.mscol-") and name.endswith(".json") for name in [*others, *own]
    )


@pytest.mark.parametrize("name", ["a.json", "step-00000007", "x" * 250, "é" * 120, "a." + "y" * 99])
def test_a_temporary_file_has_a_valid_name_of_its_own(name: str, tmp_path: Path) -> None:
    path = temporary_path(tmp_path / name)
    path.touch()
    assert is_temporary(path.name)
    assert not is_temporary(name)


@pytest.mark.parametrize("name", [".a.12.json", ".mscol-coll.json", "a.mscol-12345678-1-12345678"])
def test_files_of_others_are_not_temporary(name: str) -> None:
    assert not is_temporary(name)


def test_the_next_write_removes_what_an_ended_process_left(tmp_path: Path) -> None:
    ended = ended_process()
    file, folder = (by(tmp_path / name, process=ended) for name in ("a.json", "b"))
    folder.unlink()
    (folder / "inner").mkdir(parents=True)
    write_text(tmp_path / "other.json", "{}")
    assert not file.exists()
    assert not folder.exists()


def test_files_of_live_processes_stay(tmp_path: Path) -> None:
    files = [
        by(tmp_path / "a.json", process=os.getppid()),
        by(tmp_path / "a.json", process=ended_process(), machine=ELSEWHERE),
    ]
    own = temporary_path(tmp_path / "a.json")
    own.touch()
    remove_leftovers(tmp_path)
    assert all(file.exists() for file in [own, *files])


def test_a_process_id_that_was_reused_by_this_process_protects_nothing(tmp_path: Path) -> None:
    file = by(tmp_path / "a.json", process=os.getpid())
    remove_leftovers(tmp_path)
    assert not file.exists()


def test_a_file_of_another_machine_is_removed_once_nothing_was_written_for_an_hour(
    tmp_path: Path,
) -> None:
    file = by(tmp_path / "model", process=1, machine=ELSEWHERE)
    file.unlink()
    file.mkdir()
    (file / "encoder.safetensors").touch()
    old = file.stat().st_mtime - STALE_S - 1
    os.utime(file, (old, old))
    remove_leftovers(tmp_path)
    assert file.exists()  # the weights in it are new
    os.utime(file / "encoder.safetensors", (old, old))
    temporary._due.clear()
    remove_leftovers(tmp_path)
    assert not file.exists()


def test_under_a_lock_all_are_removed(tmp_path: Path) -> None:
    file = by(tmp_path / "a.json", process=os.getppid())
    remove_leftovers(tmp_path, locked=True)
    assert not file.exists()


def test_a_large_folder_is_not_scanned_before_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    now = time.monotonic()

    def scandir(folder: Path) -> list[os.DirEntry[str]]:
        seen.append(folder)
        patch.setattr(time, "monotonic", lambda: now + 1)  # a slow scan
        return []

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        for _ in range(10):
            remove_leftovers(tmp_path)
    assert len(seen) == 1


def test_a_temporary_folder_is_removed_unless_it_was_renamed(tmp_path: Path) -> None:
    with temporary_folder(tmp_path / "deep" / "model") as folder:
        (folder / "a").touch()
    assert [*(tmp_path / "deep").iterdir()] == []
    with temporary_folder(tmp_path / "deep" / "model") as folder:
        folder.rename(tmp_path / "deep" / "model")
    assert (tmp_path / "deep" / "model").is_dir()


def test_a_failed_link_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_link(tmp_path / "latest", Path("run"))
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]


def test_no_other_module_makes_names_of_its_own() -> None:
    root = Path(temporary.__file__).parent.parent
    makers = re.compile(r"mkdtemp|mkstemp|NamedTemporaryFile|TemporaryDirectory|with_name\(f\"\.")
    found = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if path.name != "temporary.py" and makers.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_an_output_never_replaces_a_pipe_or_device(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(OSError, match="not a regular file"):
            write_text(path, "text")
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, "text")
    assert pipe.is_fifo()
    assert len([*tmp_path.iterdir()]) == 2


def test_an_error_of_writing_names_the_file(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output") as raised:
        write_atomically(tmp_path / "a.json", fail)
    assert raised.value.filename == str(tmp_path / "a.json")
    assert [*tmp_path.iterdir()] == []
