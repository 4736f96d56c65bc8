"""Safe and resumable unpacking of archives."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo

from mscol_cli.contracts.progress import ByteMeter, Progress
from mscol_cli.download.joined import SeekError, open_joined
from mscol_cli.download.tar import tar_members
from mscol_cli.errors import BadInputError, MscolError
from mscol_cli.system.files import inside, require_space
from mscol_cli.system.temporary import remove_leftovers, temporary_path
from mscol_cli.system.units import format_bytes

BLOCK = 1 << 20
MAX_RATIO, SMALL = 200, 100_000_000
"""Largest content of an archive, as a multiple of the archive's size, and the size in bytes up to
which any multiple is allowed. Audio and its metadata hardly shrink; a bomb does."""
END_RECORD, MAX_COMMENT = 22, 65535  # bytes at the end of a zip
DAMAGE = (BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, SeekError)
UNSUPPORTED = (NotImplementedError, RuntimeError)
"""What zipfile raises for an unknown compression method, and for an encrypted archive."""


@dataclass(frozen=True)
class Content:
    """The files of an archive.

    Attributes:
        count: Number of files.
        first: Path of the first one in the folder, with `/`; empty if there are none.
    """

    count: int
    first: str


def unpack(
    name: str, kind: str, parts: Sequence[Path], folder: Path, progress: Progress
) -> Content:
    """Unpack an archive to a folder; existing files of the right size are skipped.

    Args:
        name: Name of the archive in messages.
        kind: `zip` or `tar.gz`.
        parts: The archive, or its parts in order.
        folder: Folder to unpack to.
        progress: Receives the progress.

    Raises:
        MscolError: The archive is damaged, has a link, or a name outside the folder.
    """
    source = _Source(name, parts, folder, progress)
    unpack_kind = {"zip": _unpack_zip, "tar.gz": _unpack_tar}[kind]
    with _archive_errors(source):
        _check_start(parts)
        content = unpack_kind(source)
    # One sync instead of one for each of up to hundreds of thousands of files.
    if hasattr(os, "sync"):
        os.sync()
    progress.end()
    return content


@dataclass(frozen=True)
class _Source:
    """An archive and its target folder."""

    name: str
    parts: Sequence[Path]
    folder: Path
    progress: Progress

    def target(self, member: str, *, is_file: bool) -> Path:
        """Path of a member. Raises MscolError for a link or a path outside the folder."""
        parts = member.replace("\\", "/").split("/")
        named = [part for part in parts if part not in ("", ".")]
        if not is_file:
            raise self.refusal(member, "is a link or a device")
        if not (parts[0] and named) or ":" in parts[0] or ".." in parts or "\0" in member:
            raise self.refusal(member, f"would lie outside {self.folder}")
        try:
            return inside(self.folder, "/".join(named))
        except BadInputError:
            raise self.refusal(member, f"would lie outside {self.folder}") from None

    @property
    def size(self) -> int:
        """Size of the archive in bytes."""
        return sum(part.stat().st_size for part in self.parts)

    def check_content(self, size: int) -> None:
        """Raise MscolError if the content is too large for an archive of this size."""
        if size > max(MAX_RATIO * self.size, SMALL):
            raise MscolError(
                f"{self.name} is refused: it has {format_bytes(self.size)}, but its content"
                f" {format_bytes(size)} or more"
            )

    def content(self, count: int, first: Path | None) -> Content:
        """What was unpacked: the number of files, and the first one."""
        return Content(count, first.relative_to(self.folder).as_posix() if first else "")

    def refusal(self, member: str, why: str) -> MscolError:
        """The error for a rejected member."""
        return MscolError(f"{self.name} is refused: its member '{member}' {why}")


@contextmanager
def _archive_errors(source: _Source) -> Iterator[None]:
    """Turn errors of the archive libraries into MscolError."""
    try:
        yield
    except DAMAGE as error:
        paths = ", ".join(map(str, source.parts))
        raise MscolError(
            f"{source.name} is damaged ({error}): delete {paths} and run again"
        ) from error
    except UNSUPPORTED as error:
        raise MscolError(f"{source.name} cannot be unpacked here ({error})") from error


def _check_start(parts: Sequence[Path]) -> None:
    """Raise BadZipFile for an empty file or a web page, which servers send instead of archives."""
    with open_joined(parts) as stream:
        start = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        raise BadZipFile("it is empty")
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise BadZipFile("it is a web page and not an archive")


def _unpack_zip(source: _Source) -> Content:
    with open_joined(source.parts) as stream, ZipFile(stream) as archive:
        _check_count(stream, archive)
        members = [info for info in archive.infolist() if not info.is_dir()]
        # All names are checked before the first file, so that a bad archive leaves nothing behind.
        targets = [source.target(info.filename, is_file=_is_file(info)) for info in members]
        missing = [
            (info, target)
            for info, target in zip(members, targets, strict=True)
            if not _exists(target, info.file_size)
        ]
        source.check_content(sum(info.file_size for info in members))
        total = sum(info.file_size for info, _ in missing)
        require_space(total, source.folder, source.name)
        meter = ByteMeter(source.progress, f"unpacking {source.name}", total)
        for info, target in missing:
            with archive.open(info) as content:
                _write(target, content, info.file_size, meter.add)
    return source.content(len(members), targets[0] if targets else None)


def _check_count(stream: IO[bytes], archive: ZipFile) -> None:
    """Raise BadZipFile unless zipfile found as many members as the end of the archive states.

    A damaged length in the directory can hide the members that follow.
    """
    stream.seek(0, os.SEEK_END)
    stream.seek(-min(stream.tell(), END_RECORD + MAX_COMMENT), os.SEEK_END)
    end = stream.read().rpartition(b"PK\5\6")[2]
    stated = int.from_bytes(end[6:8], "little")  # 65535 for more members
    listed = len(archive.infolist())
    if stated not in (listed % 65536, 65535):
        raise BadZipFile(f"its directory lists {listed} of {stated} members")


def _is_file(info: ZipInfo) -> bool:
    # Archives that were not created on Unix have no such bits.
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind in (0, stat.S_IFREG)


def _unpack_tar(source: _Source) -> Content:
    meter = ByteMeter(source.progress, f"unpacking {source.name}", source.size)
    count = read = total = 0
    first: Path | None = None
    with open_joined(source.parts) as stream, gzip.GzipFile(fileobj=stream) as content:
        for archive, member in tar_members(content):
            total += member.size
            if target := _unpack_member(archive, member, source, total):
                count, first = count + 1, first or target
            meter.add(stream.tell() - read)
            read = stream.tell()
    return source.content(count, first)


def _unpack_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, source: _Source, total: int
) -> Path | None:
    """Write a member, and return its path, if it is a file; `total` is the size of all so far."""
    if member.isdir():
        return None
    target = source.target(member.name, is_file=member.isreg())
    if member.issparse():
        raise source.refusal(member.name, "is a sparse file, which an archive of audio never has")
    content = archive.extractfile(member)
    if content is not None and not _exists(target, member.size):
        require_space(member.size, source.folder, f"{source.name}, member '{member.name}',")
        source.check_content(total)
        with content:
            _write(target, content, member.size, lambda _: None)
    return target


def _exists(target: Path, size: int) -> bool:
    return target.is_file() and target.stat().st_size == size


def _write(target: Path, content: IO[bytes], size: int, watch: Callable[[int], None]) -> None:
    """Write a member of `size` bytes, never more. Raises EOFError for another size."""
    left = size
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target.parent)
    temporary = temporary_path(target)
    try:
        with temporary.open("wb") as file:
            while block := content.read(BLOCK):
                left -= len(block)
                if left < 0:
                    break
                file.write(block)
                watch(len(block))
        if left:
            raise EOFError(
                f"'{target.name}' does not have the {size} bytes that the archive states"
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
