"""What is left to do for a collection, and how many bytes that takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.download.part import part_of
from mscol_cli.download.record import Record
from mscol_cli.download.table import Archive, Collection, RemoteFile
from mscol_cli.system.files import used_bytes


@dataclass(frozen=True)
class Plan:
    """What is left to do.

    Attributes:
        files: Those needed; what is there already is checked, the rest fetched.
        missing: Those of them that are not there.
        archives: To be unpacked.
        download: Bytes to fetch, roughly.
        disk: Bytes that the disk will have to take, roughly: archives and what is in them.
    """

    files: tuple[RemoteFile, ...]
    missing: tuple[RemoteFile, ...]
    archives: tuple[Archive, ...]
    download: int
    disk: int


def make_plan(collection: Collection, folder: Path, record: Record) -> Plan:
    """Look at what is there, without reading it."""
    archives = tuple(item for item in collection.archives if not record.is_unpacked(item))
    wanted = {archive.name for archive in archives}
    files = tuple(file for file in collection.files if not file.unpack or file.archive in wanted)
    missing = tuple(file for file in files if not (folder / file.name).exists())
    download = sum(max(0, file.about - _size(part_of(folder / file.name))) for file in missing)
    unpacked = sum(archive.unpacked for archive in archives)
    if any(record.is_begun(archive) for archive in archives):
        unpacked = max(0, unpacked - _unpacked_there(collection, folder, record))
    return Plan(files, missing, archives, download, download + unpacked)


def _unpacked_there(collection: Collection, folder: Path, record: Record) -> int:
    """Bytes, roughly, of the members of unfinished archives that are there."""
    fetched = [folder / file.name for file in collection.files]
    own = sum(_size(path) + _size(part_of(path)) for path in fetched)
    finished = sum(item.unpacked for item in collection.archives if record.is_unpacked(item))
    return max(0, used_bytes(folder) - own - finished)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
