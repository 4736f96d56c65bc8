"""Temporary files and folders beside the output, and removal of those that a kill leaves behind.

The name is `.NAME.mscol-MACHINE-PROCESS-RANDOM.SUFFIX`. Processes on several hosts or in several
containers write to one folder, so a process id alone neither is unique nor shows who is alive.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from secrets import token_hex

STALE_S = 3600.0
"""Age in seconds from which a temporary file of another machine is left over: its process cannot be
seen, but it would have written since."""
_NAME_LENGTH, _SUFFIX_LENGTH = 20, 16
_PATTERN = re.compile(r"\..*\.mscol-([0-9a-f]{8})-(\d+)-([0-9a-f]{8})\d+(\..*)?", re.DOTALL)
_number = count()
_due: dict[Path, float] = {}
_MAX_DUE, _SHARE = 1000, 100


def temporary_path(path: Path) -> Path:
    """A new name beside `path` that no other process uses."""
    owner = f"{machine_id()}-{os.getpid()}-{_process_id(os.getpid())}{next(_number)}"
    # The suffix stays last: writers such as numpy's append a missing suffix.
    suffix = path.suffix if len(path.suffix) <= _SUFFIX_LENGTH else ""
    return path.with_name(f".{path.stem[:_NAME_LENGTH]}.mscol-{owner}{suffix}")


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Context with a new folder beside `path`, to be filled and renamed to it. What is left of the
    folder is removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    folder = temporary_path(path)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_temporary(name: str) -> bool:
    """Whether a name is one of `temporary_path`."""
    return _PATTERN.fullmatch(name) is not None


def remove_leftovers(folder: Path, *, locked: bool = False) -> None:
    """Remove temporary files and folders whose processes have ended. Errors are ignored.

    Args:
        folder: Folder of the outputs.
        locked: Whether this process holds a lock without which nobody writes here, so that all of
            them are left over.
    """
    begun = time.monotonic()
    # Scanning a large folder before each of many files would be slow.
    if not locked and begun < _due.get(folder, 0.0):
        return
    with suppress(OSError):
        for path in [Path(entry) for entry in os.scandir(folder) if is_temporary(entry.name)]:
            if locked or _is_left_over(path):
                _remove(path)
    if len(_due) >= _MAX_DUE:
        _due.clear()
    now = time.monotonic()
    _due[folder] = now + _SHARE * (now - begun)


@cache
def machine_id() -> str:
    """Identifies the host, its boot and the container: the processes that can be seen from here."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts += [boot.read_text(encoding="ascii").strip(), str(processes.readlink())]
    return sha256(" ".join(parts).encode()).hexdigest()[:8]


def is_alive(process: int) -> bool:
    """Whether a process of this machine exists."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


@cache
def _process_id(_process: int) -> str:
    """Random part of the names of a process, which differs after a fork."""
    return token_hex(4)


def _is_left_over(path: Path) -> bool:
    match = _PATTERN.fullmatch(path.name)
    if match is None:
        return False
    machine, process, random = match[1], int(match[2]), match[3]
    if machine != machine_id():
        return time.time() - _changed(path) > STALE_S
    if process == os.getpid():
        return random != _process_id(process)
    return not is_alive(process)


def _changed(path: Path) -> float:
    """Time of the last write to a file, or to anything in a folder."""
    paths = [path, *(path.rglob("*") if path.is_dir() else ())]
    return float(max(entry.lstat().st_mtime for entry in paths))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()
