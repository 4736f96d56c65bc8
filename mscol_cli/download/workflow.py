"""download: collection -> verified files -> unpacked data set."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mscol_cli.contracts.progress import Progress
from mscol_cli.download.fetch import (
    MIRROR,
    addresses,
    fetch,
    is_offline,
    missing_offline,
    require_hash,
)
from mscol_cli.download.folder import default_folder, download_lock
from mscol_cli.download.plan import Plan, make_plan
from mscol_cli.download.record import Record
from mscol_cli.download.request import DownloadRequest
from mscol_cli.download.table import Archive, Collection, RemoteFile, find_collection
from mscol_cli.download.unpack import unpack
from mscol_cli.system.files import free_bytes, require_space
from mscol_cli.system.outcomes import resumable
from mscol_cli.system.units import format_bytes

State = Literal["missing", "there", "fetched", "unpacked"]


@dataclass(frozen=True)
class FileResult:
    """One file of the collection.

    Attributes:
        name: Name of the file.
        state: `missing` in a dry run, `there` before, `fetched` now, or `unpacked` before.
        bytes: Approximate size.
        hash: Published hash, or that of the downloaded file; None if neither is known.
        url: First address.
    """

    name: str
    state: State
    bytes: int
    hash: str | None
    url: str


@dataclass(frozen=True)
class DownloadResult:
    """Result of `mscol download`.

    Attributes:
        collection: Name of the collection.
        title: One line of description.
        licence: Short form of the licence.
        licence_from: Source of the information on the licence.
        page: Address of the description, with the citation.
        folder: Folder of the files.
        layout: Description of the folder.
        files: All files of the collection.
        archives_unpacked: Archives unpacked in this run.
        download_bytes: Approximate bytes to download at the start.
        disk_bytes: Approximate bytes needed on the disk at the start.
        dry_run: Whether this was a dry run.
        seconds: Elapsed time.
    """

    collection: str
    title: str
    licence: str
    licence_from: str
    page: str
    folder: Path
    layout: str
    files: tuple[FileResult, ...]
    archives_unpacked: tuple[str, ...]
    download_bytes: int
    disk_bytes: int
    dry_run: bool
    seconds: float


def run(request: DownloadRequest, progress: Progress) -> DownloadResult:
    """Download the missing files of a collection, verify them, and unpack archives.

    Raises:
        UsageError: The collection does not exist, a setting is invalid, or a file has no hash.
        MissingDataError: A file is not available, differs from the published one, or is missing
            offline.
        MscolError: The disk is too small, or an archive is refused.
        Interrupted: Stopped by Ctrl-C; the same command resumes.
    """
    begun = time.monotonic()
    collection = find_collection(request.name or "")
    folder = request.output or default_folder(collection)
    record = Record(folder, collection.name)
    plan = make_plan(collection, folder, record)
    _announce(collection, plan, folder, progress)
    for file in plan.missing:
        require_hash(file)
    if plan.missing and is_offline() and not request.dry_run:
        raise missing_offline(collection, folder / plan.missing[0].name)
    require_space(plan.disk, folder, collection.name)
    if not request.dry_run:
        with resumable(f"downloads are kept in {folder}"), download_lock(folder, progress):
            # Another process may have downloaded files while this one waited.
            record = Record(folder, collection.name)
            left = make_plan(collection, folder, record)
            for file in left.files:
                fetch(collection, file, folder, record, progress)
            for archive in left.archives:
                _unpack(archive, folder, record, request.keep_archives, progress)
            _delete_needless(collection, folder, record)
    return DownloadResult(
        collection=collection.name,
        title=collection.title,
        licence=collection.licence,
        licence_from=collection.licence_from,
        page=collection.page,
        folder=folder,
        layout=collection.layout,
        files=tuple(
            _file_result(collection, file, plan, record, request) for file in collection.files
        ),
        archives_unpacked=() if request.dry_run else tuple(item.name for item in plan.archives),
        download_bytes=plan.download,
        disk_bytes=plan.disk,
        dry_run=request.dry_run,
        seconds=round(time.monotonic() - begun, 3),
    )


def _announce(collection: Collection, plan: Plan, folder: Path, progress: Progress) -> None:
    progress.note(collection.title)
    progress.note(f"licence: {collection.licence} ({collection.licence_from})")
    progress.note(f"description and citation: {collection.page}")
    if not plan.files and not plan.archives:
        return
    progress.note(
        f"to download: {format_bytes(plan.download)}; disk needed: {format_bytes(plan.disk)}"
        f"{' (archives and their content)' if plan.archives else ''};"
        f" free: {format_bytes(free_bytes(folder))} at {folder}"
    )
    if os.environ.get(MIRROR):
        progress.note(f"from the mirror {os.environ[MIRROR]}")


def _unpack(archive: Archive, folder: Path, record: Record, keep: bool, progress: Progress) -> None:
    parts = [folder / part.name for part in archive.parts]
    record.start_unpacking(archive)
    content = unpack(archive.name, archive.kind, parts, folder, progress)
    record.finish_unpacking(archive, content, keep)
    progress.note(f"{archive.name}: unpacked to {folder}, files: {content.count}")


def _delete_needless(collection: Collection, folder: Path, record: Record) -> None:
    """Delete unpacked archives, also those that a killed process was about to delete."""
    for archive in filter(record.is_needless, collection.archives):
        for part in archive.parts:
            (folder / part.name).unlink(missing_ok=True)


def _file_result(
    collection: Collection, file: RemoteFile, plan: Plan, record: Record, request: DownloadRequest
) -> FileResult:
    states: tuple[State, State] = ("missing", "there") if request.dry_run else ("fetched", "there")
    state = states[file not in plan.missing] if file in plan.files else "unpacked"
    known = str(file.checksum) if file.checksum is not None else record.hash_of(file.name)
    return FileResult(file.name, state, file.about, known, addresses(collection, file)[0])
