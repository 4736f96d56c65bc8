"""Remaining downloads and archives of a collection, with their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.download.part import part_of
from mscol_cli.download.record import Record
from mscol_cli.download.table import Archive, Collection, RemoteFile
from mscol_cli.system.files import used_bytes


@dataclass(frozen=True)
class Plan:
    """Remaining work.

    Attributes:
        files: Files needed; existing ones are verified, others downloaded.
        missing: Files to download.
        archives: Archives to unpack.
        download: Approximate bytes to download.
        disk: Approximate bytes needed on the disk, for archives and their content.
    """

    files: tuple[RemoteFile, ...]
    missing: tuple[RemoteFile, ...]
    archives: tuple[Archive, ...]
    download: int
    disk: int


def make_plan(collection: Collection, folder: Path, record: Record) -> Plan:
    """Compare a collection with the files in a folder, by name and size only."""
    archives = tuple(item for item in collection.archives if not record.is_unpacked(item))
    packed = {archive.name for archive in archives}
    files = tuple(file for file in collection.files if not file.unpack or file.archive in packed)
    missing = tuple(file for file in files if not (folder / file.name).exists())
    download = sum(max(0, file.about - _size(part_of(folder / file.name))) for file in missing)
    unpacked = sum(archive.unpacked for archive in archives)
    if any(record.is_started(archive) for archive in archives):
        unpacked = max(0, unpacked - _partly_unpacked(collection, folder, record))
    return Plan(files, missing, archives, download, download + unpacked)


def _partly_unpacked(collection: Collection, folder: Path, record: Record) -> int:
    """Approximate bytes of the members that unfinished archives have in the folder."""
    paths = [folder / file.name for file in collection.files]
    downloaded = sum(_size(path) + _size(part_of(path)) for path in paths)
    finished = sum(item.unpacked for item in collection.archives if record.is_unpacked(item))
    return max(0, used_bytes(folder) - downloaded - finished)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
