"""download: a collection of the table -> its files, checked -> unpacked where the tasks look."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mscol_cli.contracts.progress import Progress
from mscol_cli.download.fetch import MIRROR, addresses, fetch
from mscol_cli.download.place import alone_in, default_folder
from mscol_cli.download.plan import Plan, make_plan
from mscol_cli.download.record import Record
from mscol_cli.download.table import Archive, Collection, RemoteFile, load_table
from mscol_cli.download.unpack import unpack
from mscol_cli.host.names import unknown_name
from mscol_cli.system.files import free_bytes, require_space
from mscol_cli.system.outcomes import resumable
from mscol_cli.system.units import format_bytes

State = Literal["missing", "there", "fetched", "unpacked"]


@dataclass(frozen=True)
class DownloadRequest:
    """What to download, and where to.

    Attributes:
        name: Of the collection.
        folder: Where to; None for the collection's own place.
        keep_archives: Whether archives stay when they are unpacked.
        dry_run: Only say what would be done.
    """

    name: str
    folder: Path | None = None
    keep_archives: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class FileResult:
    """One file of the collection.

    Attributes:
        name: Of the file.
        state: `missing` in a dry run, `there` before, `fetched` now, or `unpacked` before.
        bytes: Roughly.
        hash: What the table states, else what came; None where neither is known.
        url: Where it is fetched from first.
    """

    name: str
    state: State
    bytes: int
    hash: str | None
    url: str


@dataclass(frozen=True)
class DownloadResult:
    """What was done, or would be.

    Attributes:
        collection: Its name.
        title: What it is.
        licence: In short.
        licence_from: Who says so.
        page: How to cite it.
        folder: Where it lies.
        layout: What lies there.
        files: Each file of the collection.
        archives_unpacked: Now.
        download_bytes: To fetch when this began, roughly.
        disk_bytes: Needed when this began, roughly.
        dry_run: Whether nothing was done.
        seconds: How long it took.
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


def available() -> list[Collection]:
    """Everything that can be downloaded. Raises UsageError for a bad table of one's own."""
    return list(load_table().values())


def run(request: DownloadRequest, progress: Progress) -> DownloadResult:
    """Fetch what is missing of a collection, check it, and unpack what is packed.

    Raises:
        UsageError: No such collection, or a setting that cannot be used.
        MissingDataError: A file cannot be had, or is another than was published.
        MscolError: No room, or an archive that is refused.
        Interrupted: Stopped by Ctrl-C; the same command goes on.
    """
    begun = time.monotonic()
    collection = _find(request.name)
    folder = request.folder or default_folder(collection)
    record = Record(folder, collection.name)
    plan = make_plan(collection, folder, record)
    _announce(collection, plan, folder, progress)
    require_space(plan.disk, folder, collection.name)
    if not request.dry_run:
        with resumable(f"what came is kept in {folder}"), alone_in(folder, progress):
            # Another process may have done some of it while this one waited.
            record = Record(folder, collection.name)
            left = make_plan(collection, folder, record)
            _fetch_all(collection, left, folder, record, progress)
            for archive in left.archives:
                _unpack(archive, folder, record, request.keep_archives, progress)
    files = tuple(
        _file_result(collection, file, plan, record, request) for file in collection.files
    )
    return _result(request, collection, folder, plan, files, time.monotonic() - begun)


def _find(name: str) -> Collection:
    table = load_table()
    if name not in table:
        raise unknown_name("collection", name, table)
    return table[name]


def _announce(collection: Collection, plan: Plan, folder: Path, progress: Progress) -> None:
    progress.note(collection.title)
    progress.note(f"licence: {collection.licence} (says {collection.licence_from})")
    progress.note(f"described, and how to cite it: {collection.page}")
    if not plan.files and not plan.archives:
        return
    progress.note(
        f"to download: {format_bytes(plan.download)}; disk needed: {format_bytes(plan.disk)}"
        f"{' (archives and what is in them)' if plan.archives else ''};"
        f" free: {format_bytes(free_bytes(folder))} at {folder}"
    )
    if os.environ.get(MIRROR):
        progress.note(f"from the mirror {os.environ[MIRROR]}")


def _fetch_all(
    collection: Collection, plan: Plan, folder: Path, record: Record, progress: Progress
) -> None:
    for file in plan.files:
        fetch(collection, file, folder, record, progress)
        if file.checksum is None and file in plan.missing:
            progress.warn(
                f"no hash of {file.name} is known to check it by; what came has"
                f" {record.hash_of(file.name)}, which is kept on record"
            )


def _unpack(archive: Archive, folder: Path, record: Record, keep: bool, progress: Progress) -> None:
    parts = [folder / part.name for part in archive.parts]
    record.unpacking(archive)
    members = unpack(archive.name, archive.kind, parts, folder, progress)
    record.unpacked(archive, members)
    progress.note(f"{archive.name}: unpacked to {folder}, files: {members}")
    if not keep:
        for part in parts:
            part.unlink()


def _file_result(
    collection: Collection, file: RemoteFile, plan: Plan, record: Record, request: DownloadRequest
) -> FileResult:
    states: tuple[State, State] = ("missing", "there") if request.dry_run else ("fetched", "there")
    state = states[file not in plan.missing] if file in plan.files else "unpacked"
    known = str(file.checksum) if file.checksum is not None else record.hash_of(file.name)
    return FileResult(file.name, state, file.about, known, addresses(collection, file)[0])


def _result(
    request: DownloadRequest,
    collection: Collection,
    folder: Path,
    plan: Plan,
    files: Sequence[FileResult],
    seconds: float,
) -> DownloadResult:
    return DownloadResult(
        collection=collection.name,
        title=collection.title,
        licence=collection.licence,
        licence_from=collection.licence_from,
        page=collection.page,
        folder=folder,
        layout=collection.layout,
        files=tuple(files),
        archives_unpacked=() if request.dry_run else tuple(item.name for item in plan.archives),
        download_bytes=plan.download,
        disk_bytes=plan.disk,
        dry_run=request.dry_run,
        seconds=round(seconds, 3),
    )
