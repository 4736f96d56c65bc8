"""Resumable, verified download of a file, from the first of its addresses that works."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mscol_cli.contracts.progress import ByteMeter, Progress, Silent
from mscol_cli.download import web
from mscol_cli.download.checksum import Checksum, hash_file
from mscol_cli.download.folder import default_folder, download_lock
from mscol_cli.download.part import Part
from mscol_cli.download.record import Record
from mscol_cli.download.table import Collection, RemoteFile
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.system.files import require_space
from mscol_cli.system.units import format_bytes

MIRROR = "MSCOL_MIRROR"
OFFLINE = "MSCOL_OFFLINE"
PAUSES = (1.0, 3.0, 9.0)
# After this many bytes, a broken connection does not count as a failed attempt.
GOOD = 64_000_000


def is_offline() -> bool:
    """Whether `MSCOL_OFFLINE` in the environment forbids downloads."""
    return os.environ.get(OFFLINE, "") not in ("", "0")


def fetch_files(
    collection: Collection,
    names: Sequence[str],
    folder: Path | None = None,
    progress: Progress | None = None,
    offline: bool = False,
) -> list[Path]:
    """Return files of a collection, downloading those that are missing. The licence is printed
    before the download.

    Args:
        collection: A collection from `find_collection`.
        names: Names of the files.
        folder: Folder of the files; None for the default folder of the collection.
        progress: Receives notes and progress.
        offline: Download nothing, as with `MSCOL_OFFLINE=1` in the environment.

    Raises:
        UsageError: The collection has no such file, it has no hash in the table, or `MSCOL_MIRROR`
            is not a web address.
        MissingDataError: An existing file is damaged, no address has the right file, or a file is
            missing offline.
    """
    folder = folder or default_folder(collection)
    files = [collection.file(name) for name in names]
    progress = progress or Silent()
    missing = [file for file in files if not (folder / file.name).exists()]
    if missing and (offline or is_offline()):
        raise missing_offline(collection, folder / missing[0].name)
    if missing:
        size = format_bytes(sum(file.about for file in missing))
        progress.note(f"downloading {collection.title}, {size}, to {folder}")
        progress.note(f"licence: {collection.licence} ({collection.licence_from})")
    return [_fetch_file(collection, file, folder, progress) for file in files]


def missing_offline(collection: Collection, path: Path) -> MissingDataError:
    """The error for a file of a collection that is to be downloaded offline."""
    return MissingDataError(
        f"{path} does not exist and cannot be downloaded offline: run"
        f" 'mscol download {collection.name}' on a machine with a network and copy the folder"
    )


def _fetch_file(collection: Collection, file: RemoteFile, folder: Path, progress: Progress) -> Path:
    if (folder / file.name).exists():
        return check_present(file, folder / file.name, progress)
    with download_lock(folder, progress):
        return fetch(collection, file, folder, Record(folder, collection.name), progress)


def fetch(
    collection: Collection, file: RemoteFile, folder: Path, record: Record, progress: Progress
) -> Path:
    """Download one file of a collection to a folder that exists and is locked."""
    path = folder / file.name
    if path.exists():
        return check_present(file, path, progress)
    require_hash(file)
    problems = []
    with Part.open(path, record.total(file.name)) as part:
        fetching = _Fetching(file, part, record, progress)
        for url in addresses(collection, file):
            try:
                checksum = fetching.from_address(url)
            except web.Unavailable as error:
                problems.append(f"{url} {error}")
                continue
            record.finish(file.name, checksum, part.size, url)
            part.finish(path)
            return path
        raise _unavailable(path, part, problems)


def require_hash(file: RemoteFile) -> None:
    """Raise UsageError if a file to download has no hash to verify it with."""
    if file.checksum is None:
        raise UsageError(
            f"{file.name} has no hash in the table of downloads, without which nothing is"
            ' downloaded: add hash = "sha256:..." to it.'
        )


def addresses(collection: Collection, file: RemoteFile) -> tuple[str, ...]:
    """Addresses of a file, or its address at the mirror. Raises UsageError."""
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return file.urls
    if not web.is_web_address(mirror):
        raise UsageError(f"{MIRROR} is '{mirror}', which is not an http or https address.")
    return (f"{mirror.rstrip('/')}/{collection.name}/{quote(file.name)}",)


def check_present(file: RemoteFile, path: Path, progress: Progress) -> Path:
    """Verify an existing file and return its path. Raises MissingDataError."""
    problem, _ = _verify(file, path, progress)
    if problem:
        raise MissingDataError(f"{path} is damaged ({problem}): delete it and run again")
    return path


class _Fetching:
    """Download of one file."""

    def __init__(self, file: RemoteFile, part: Part, record: Record, progress: Progress) -> None:
        self._file = file
        self._part = part
        self._record = record
        self._progress = progress
        self._expected = part.total if part.total is not None else file.size

    def from_address(self, url: str) -> Checksum:
        """Download the missing part; returns the hash of the file. Raises Unavailable."""
        while True:
            fresh = self._part.size == 0
            self._fill(url)
            problem, checksum = _verify(self._file, self._part.path, self._progress)
            if not problem:
                return checksum
            self._part.clear()
            if fresh:
                raise web.Unavailable(f"gave another file than was published ({problem})")
            self._note("the earlier download does not match: starting over")

    def _fill(self, url: str) -> None:
        """Request the file, retrying broken connections a few times. Raises Unavailable."""
        pauses = iter(PAUSES)
        while True:
            before = self._part.size
            try:
                self._request(url)
                return
            except web.Broken as error:
                if self._part.size - before >= GOOD:
                    pauses = iter(PAUSES)
                pause = next(pauses, None)
                if pause is None:
                    raise web.Unavailable(str(error)) from None
                self._note(f"{error}: trying again in {pause:.0f} s")
                time.sleep(pause)

    def _request(self, url: str) -> None:
        """Send one request. Raises Broken, Unavailable."""
        if self._part.size and self._part.size == self._expected:
            return
        answer = self._open(url)
        if answer is None:
            return
        with answer:
            total = answer.total if answer.total is not None else self._file.size
            self._expected = answer.total
            self._record.start(self._file.name, answer.total)
            if total is not None:
                require_space(total - self._part.size, self._part.path.parent, self._file.name)
            self._receive(answer, total)

    def _open(self, url: str) -> web.Answer | None:
        """Request the rest of the file; None if the part is complete."""
        try:
            answer = web.ask(url, self._part.size)
        except web.PastTheEnd as past:
            if past.total == self._part.size:
                return None
            return self._restart(url, "the server's file is shorter than the earlier download")
        changed = self._expected is not None and answer.total not in (None, self._expected)
        if answer.start and changed:
            with answer:
                return self._restart(url, "the server's file has changed")
        if self._part.size and not answer.start:
            self._note("the server cannot resume a download: starting over")
            self._part.clear()
        return answer

    def _restart(self, url: str, reason: str) -> web.Answer:
        self._note(f"{reason}: starting over")
        self._part.clear()
        return web.ask(url, 0)

    def _receive(self, answer: web.Answer, total: int | None) -> None:
        """Append the answer to the part. Raises Broken, Unavailable."""
        resumed = f" from {format_bytes(self._part.size)}" if self._part.size else ""
        left = None if total is None else total - self._part.size
        meter = ByteMeter(self._progress, self._file.name + resumed, left)
        for block in answer.blocks():
            self._part.write(block)
            meter.add(len(block))
            if total is not None and self._part.size > total:
                raise web.Unavailable(f"sends more than {total} bytes")
        if answer.total is not None and self._part.size < answer.total:
            raise web.Broken(
                f"broke off at {format_bytes(self._part.size)} of {format_bytes(answer.total)}"
            )

    def _note(self, message: str) -> None:
        self._progress.note(f"{self._file.name}: {message}")


def _verify(file: RemoteFile, path: Path, progress: Progress) -> tuple[str, Checksum]:
    """The problem with a file, empty for none, and its hash."""
    size = path.stat().st_size
    meter = ByteMeter(progress, f"checking {file.name}", size)
    computed = hash_file(path, file.checksum, meter.add)
    progress.end()
    if file.checksum is not None and not file.checksum.matches(computed):
        return f"expected {file.checksum}, found {computed}", computed
    # A complete hash is decisive, even if the table states another size.
    decisive = file.checksum is not None and file.checksum.is_complete
    if file.size not in (None, size) and not decisive:
        return f"expected {file.size} bytes, found {size}", computed
    return "", computed


def _unavailable(path: Path, part: Part, problems: list[str]) -> MissingDataError:
    advice = (
        f"run the same command again to resume after {format_bytes(part.size)}"
        if part.size
        else "run the same command again"
    )
    return MissingDataError(
        f"cannot download {path.name}: {'; '.join(problems)}; {advice}, or download it yourself to"
        f" {path}"
    )
