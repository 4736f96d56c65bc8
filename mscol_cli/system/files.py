"""Files that are whole or absent, under names that stay in their folder; disk space."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mscol_cli.errors import BadInputError, MissingDataError, MscolError, UsageError
from mscol_cli.system.units import format_bytes


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers such as numpy's add one where it is missing.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def leftovers(path: Path) -> list[Path]:
    """Temporary files that processes left which were killed while they wrote a file atomically."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.\d+{re.escape(path.suffix)}")
    entries = path.parent.iterdir() if path.parent.is_dir() else ()
    return [entry for entry in entries if pattern.fullmatch(entry.name)]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that a person can read, atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically; see `escaped` for names that are not UTF-8."""
    write_atomically(path, lambda temporary: _fill(temporary, text))


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        MissingDataError: It is not there.
        UsageError: It is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingDataError(f"{path.parent} is no {what}: it has no {path.name}.") from None
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{path} cannot be read as JSON ({error}): restore or delete it."
        ) from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds no JSON object: restore or delete it.")
    return content


def inside(folder: Path, name: str) -> Path:
    """The place of a relative name with `/` between its parts, below a folder.

    Raises:
        BadInputError: The name leads elsewhere, or has parts that no file can have.
    """
    parts = name.split("/")
    path = folder.joinpath(*parts)
    # Joining drops empty parts and `.`, and takes drives and backslashes as the system does.
    if path.parts != (*folder.parts, *parts) or ".." in parts or "\0" in name:
        raise BadInputError(f"{name!r} is no name of a file inside {folder}; rename it")
    return path


def escaped(text: str) -> str:
    r"""Text that can be encoded as UTF-8, whatever file names are in it.

    A byte of a name that is not UTF-8 is a lone surrogate in Python, and no text can hold it. It
    is written as JSON writes it, `\udce9` for the byte 0xE9, everywhere: pages, lists, terminal.
    Only CSV has the byte itself, so that its names are those on the disk.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_regular(path: Path) -> bool:
    """Whether this is a file to open: not a folder, pipe, device or socket, nor a link to one; and
    not one of which the system does not tell."""
    try:
        return path.is_file()
    except OSError:
        return False


def real_path(path: Path) -> Path:
    """The path without links. Links in a circle stay as they are, where `resolve` would raise."""
    return Path(os.path.realpath(path))


def existing_parent(path: Path) -> Path:
    """The path itself if it is a folder, or the nearest folder above that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.is_dir())


def relative_to_here(path: Path) -> Path:
    """A path inside the current folder, relative to it; any other path as it is."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_hash(
    path: Path, watch: Callable[[int], None] | None = None, algorithm: str = "sha256"
) -> str:
    """The hash of a file, hex.

    Args:
        path: The file.
        watch: Called with the number of bytes of each block that was read.
        algorithm: A name that `hashlib` knows.

    Raises:
        OSError: It cannot be read, or is a pipe, a device or a folder: these are never opened.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            if watch is not None:
                watch(len(block))
    return digest.hexdigest()


def point(link: Path, target: Path) -> None:
    """Let a symbolic link point at a folder, atomically, whatever it pointed at before.

    Args:
        link: In a folder that is there.
        target: A path as the link will hold it: a relative one counts from the link's folder.
    """
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target, target_is_directory=True)
    temporary.replace(link)


def make_readable(path: Path) -> None:
    """Give a file the mode that any new file has; some libraries make theirs private."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, atomically."""

    def fill(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, fill)


def _fill(path: Path, text: str) -> None:
    path.write_text(escaped(text), encoding="utf-8")


def free_bytes(folder: Path) -> int:
    """Bytes free where a folder is, or will be made."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def used_bytes(folder: Path) -> int:
    """Bytes of all files in a folder, 0 if it is not there."""
    return sum(
        Path(root, name).lstat().st_size for root, _, names in os.walk(folder) for name in names
    )


def require_space(count: int, folder: Path, what: str) -> None:
    """Raise MscolError unless there is room for `count` more bytes."""
    available = free_bytes(folder)
    if count > available:
        raise MscolError(
            f"{what} needs {format_bytes(count)} on the disk of {folder}, which has"
            f" {format_bytes(available)} free: make room, or choose another place with -o"
        )
