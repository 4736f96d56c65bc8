"""Atomic file writes, safe paths, hashes and disk space."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from mscol_cli.errors import BadInputError, MscolError
from mscol_cli.system.temporary import remove_leftovers, temporary_path
from mscol_cli.system.units import format_bytes

try:
    import resource
except ImportError:  # pragma: no cover - Windows
    resource = None  # type: ignore[assignment]

T = TypeVar("T")
_ATTEMPTS = 3
_OPEN_FILES = 512
"""Open files that every system permits."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary file beside `path`, sync the file, and rename it to `path`.

    Raises:
        OSError: The file cannot be written, or is a pipe, device or folder, which are not replaced.
    """
    refuse_irregular(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    temporary = temporary_path(path)
    try:
        with naming(path):
            write(temporary)
            sync(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Context that adds a path to OSErrors without one, as those of `write` and `fsync`."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def open_files_limit() -> int:
    """How many files this process may have open at once."""
    if resource is None:
        return _OPEN_FILES
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def open_more_files() -> None:
    """Raise the limit of open files as far as the system permits: a large store has thousands."""
    if resource is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS accepts no infinite one.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def without_links(path: str, flags: int) -> int:
    """`opener` of `open` for files that are changed in place: what others put into an output folder
    must not lead to another file. Raises OSError for a link."""
    try:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        reason = "is a link, and nothing is written through links; remove it"
        raise OSError(errno.ELOOP, reason, path) from None


def refuse_irregular(path: Path) -> None:
    """Raise OSError for a folder, or for a pipe or device, which a rename would replace, even
    `/dev/null`."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if exists(path) and not is_regular(path):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically; see `escaped` for names that are not UTF-8."""
    write_bytes(path, escaped(text).encode("utf-8"))


def inside(folder: Path, name: str) -> Path:
    """Join a folder and a relative name with `/` between its parts.

    Raises:
        BadInputError: The path is outside the folder, or has parts that no file name can have.
    """
    parts = name.split("/")
    path = folder.joinpath(*parts)
    # Joining drops empty parts and `.`, and interprets drives and backslashes as the system does.
    if path.parts != (*folder.parts, *parts) or ".." in parts or "\0" in name:
        raise BadInputError(f"{name!r} cannot be the name of a file inside {folder}; rename it")
    return path


def escaped(text: str) -> str:
    r"""Escape file names that are not UTF-8, so that text can be encoded as UTF-8.

    In Python, such a byte of a name is a lone surrogate. It is written as in JSON, `\udce9` for the
    byte 0xE9, in all pages, lists and terminal output. Only CSV has the byte itself, so that its
    names match those on the disk.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_regular(path: Path) -> bool:
    """Whether a path is a regular file or a link to one; False if the system cannot tell."""
    try:
        return path.is_file()
    except OSError:
        return False


def may_exist(path: Path) -> bool:
    """Whether a path exists; True if the system cannot tell, as on a disk that does not answer."""
    try:
        return path.exists()
    except OSError:
        return True


def real_path(path: Path) -> Path:
    """Resolve links. Circular links are kept, while `Path.resolve` would raise."""
    return Path(os.path.realpath(path))


def absolute_path(path: Path) -> Path:
    """Make a path absolute and remove `..`, without resolving links."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def existing_parent(path: Path) -> Path:
    """The path itself if it is a folder, else its nearest existing parent."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def relative_to_here(path: Path) -> Path:
    """Make a path inside the current folder relative to it; other paths do not change."""
    current = Path.cwd()
    return path.relative_to(current) if path.is_relative_to(current) else path


def retry_stale(call: Callable[[], T], attempts: int = _ATTEMPTS) -> T:
    """Call again while the system reports a stale file handle.

    A network file system does so for a file that another host has replaced or removed; opening it
    again finds the new one.

    Raises:
        FileNotFoundError: In place of the last error.
    """
    for _ in range(attempts):
        try:
            return call()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            stale = error
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), stale.filename) from stale


def read_bytes(path: Path, start: int = 0) -> bytes:
    """Content of a file from a byte on, also if another host replaces it. Raises OSError."""

    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return file.read()

    return retry_stale(read)


def exists(path: Path) -> bool:
    """Whether a path exists, also if another host replaces it."""
    try:
        retry_stale(path.stat)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def revision(path: Path) -> tuple[int, int, int] | None:
    """Inode, size and modification time of a file that is replaced as a whole; None without it."""
    try:
        # Opened, since a network file system asks its server only then.
        with retry_stale(lambda: path.open("rb")) as file:
            status = os.fstat(file.fileno())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def whole_lines(path: Path, start: int = 0) -> int:
    """Number of bytes from `start`, the end of a line, up to the last line end; 0 without the
    file."""
    try:
        return read_bytes(path, start).rfind(b"\n") + 1
    except FileNotFoundError:
        return 0


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_hash(
    path: Path, watch: Callable[[int], None] | None = None, algorithm: str = "sha256"
) -> str:
    """Hash of a file, in hexadecimal.

    Args:
        path: The file.
        watch: Called with the number of bytes of each block that was read.
        algorithm: Name of a hash in `hashlib`.

    Raises:
        OSError: The file cannot be read, or is a pipe, device or folder, which are never opened.
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


def has_changed(
    path: Path, expected: str, watch: Callable[[int], None] | None = None
) -> str | None:
    """How a file differs from its SHA-256; None if it does not. Arguments as for `file_hash`."""
    actual = file_hash(path, watch)
    if actual == expected:
        return None
    return f"has changed (SHA-256 {actual[:12]}..., expected {expected[:12]}...)"


def replace_link(link: Path, target: Path) -> None:
    """Create or replace a symbolic link to a folder, atomically. Raises OSError.

    Args:
        link: The link, in an existing folder.
        target: Content of the link; a relative path starts at the link's folder.
    """
    remove_leftovers(link.parent)
    temporary = temporary_path(link)
    try:
        temporary.symlink_to(target, target_is_directory=True)
        temporary.replace(link)
    finally:
        temporary.unlink(missing_ok=True)


def make_readable(path: Path) -> None:
    """Give a file the default mode of new files; some libraries create private files."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, atomically."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder, which need not exist."""
    return shutil.disk_usage(existing_parent(folder)).free


def used_bytes(folder: Path) -> int:
    """Bytes of all files in a folder; 0 if it does not exist."""
    count = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # removed meanwhile
                count += Path(root, name).lstat().st_size
    return count


def require_space(count: int, folder: Path, what: str) -> None:
    """Raise MscolError unless the disk has `count` free bytes."""
    available = free_bytes(folder)
    if count > available:
        raise MscolError(
            f"{what} needs {format_bytes(count)} on the disk of {folder}, which has"
            f" {format_bytes(available)} free: make room, or choose another folder with -o"
        )
