"""Locks on file systems with and without them."""

import errno
import fcntl
import os
from pathlib import Path
from typing import IO, Any

import pytest

from mscol_cli.errors import MscolError
from mscol_cli.system.files import read_bytes, revision, whole_lines
from mscol_cli.system.locks import Lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def test_one_holder_at_a_time(path: Path) -> None:
    first, second = Lock(path), Lock(path)
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take(wait=True)
    second.release()


def test_a_file_that_its_holder_removed_is_made_again(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / ".lock"), Lock(tmp_path / ".lock")
    assert first.take()
    (tmp_path / ".lock").unlink()
    assert second.take()
    assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_keeps_no_process_out_unless_a_lock_is_required(
    path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert Lock(path, required=False).take()
    with pytest.raises(MscolError, match="has no locks"):
        Lock(path).take()


def test_a_lock_that_two_processes_take_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)  # as on two mounts
    first, second = (Lock(tmp_path / ".lock", marked=True) for _ in range(2))
    assert first.take()
    first.require_held()
    assert second.take()
    second.require_held()
    with pytest.raises(MscolError, match="taken by two processes"):
        first.require_held()


@pytest.mark.parametrize("call", ["flock", "fsync"])
def test_a_lock_whose_file_another_host_removed_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    module = fcntl if call == "flock" else os
    real, failures = getattr(module, call), iter([errno.ESTALE] * 9)

    def stale(*arguments: int) -> None:
        for code in failures:
            raise OSError(code, os.strerror(code))
        real(*arguments)

    monkeypatch.setattr(module, call, stale)
    lock = Lock(tmp_path / ".lock", required=False, marked=True)
    assert lock.take(wait=True)
    lock.require_held()
    assert lock.has_effect


def test_a_stale_handle_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"new")
    failures = iter([errno.ESTALE, errno.ESTALE])
    real = Path.open

    def opened(path: Path, mode: str) -> IO[Any]:
        for code in failures:
            raise OSError(code, os.strerror(code), str(path))
        return real(path, mode)

    monkeypatch.setattr(Path, "open", opened)
    assert read_bytes(tmp_path / "a") == b"new"
    failures = iter([errno.ESTALE] * 9)
    assert whole_lines(tmp_path / "a") == 0  # as of a file that was removed


def test_a_path_below_a_file_has_no_revision(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert revision(tmp_path / "a" / "store.json") is None
