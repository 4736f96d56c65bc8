"""Files that are compared as a whole, and folders that root may not read."""

import ctypes
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from mscol_cli.system.temporary import machine_id, temporary_path

_CAPABILITIES = 0x20080522
_READ_ANYTHING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


def digest(path: Path) -> str:
    """SHA-256 of a file: of megabytes that differ, pytest would print for minutes how they do."""
    return sha256(path.read_bytes()).hexdigest()


def digests(folder: Path, pattern: str = "*") -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path there."""
    files = (path for path in folder.rglob(pattern) if path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


@contextmanager
def without_root_rights() -> Iterator[None]:
    """Permissions hold for root, too, in this thread and those it starts."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "capset"):
        pytest.skip("root reads every folder")
    header, rights = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, rights) == 0
    before = rights[0]
    rights[0] &= ~_READ_ANYTHING
    assert libc.capset(header, rights) == 0
    try:
        yield
    finally:
        rights[0] = before
        assert libc.capset(header, rights) == 0


def leave_behind(path: Path, **owner: object) -> Path:
    """A temporary name beside `path`, whose folder exists, as of a process that was killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = {"machine": machine_id(), "process": ended_process(), **owner}
    name = re.sub(
        r"mscol-[0-9a-f]+-\d+-[0-9a-f]{8}",
        "mscol-{machine}-{process}-00000000".format(**owner),
        temporary_path(path).name,
    )
    return path.with_name(name)


def ended_process() -> int:
    """Id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid
