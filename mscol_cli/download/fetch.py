"""A file from the first of its addresses that gives the right one, going on where it broke off."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mscol_cli.contracts.progress import ByteMeter, Progress, Silent
from mscol_cli.download import web
from mscol_cli.download.checksum import Checksum, hash_file
from mscol_cli.download.entries import is_web_address
from mscol_cli.download.part import Part
from mscol_cli.download.place import alone_in, default_folder
from mscol_cli.download.record import Record
from mscol_cli.download.table import Collection, RemoteFile
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.system.files import require_space
from mscol_cli.system.units import format_bytes

MIRROR = "MSCOL_MIRROR"
OFFLINE = "MSCOL_OFFLINE"
PAUSES = (1.0, 3.0, 9.0)
# A connection that carried this much was a good one: its breaking does not count.
GOOD = 64_000_000


def fetch_files(
    collection: Collection,
    names: Sequence[str],
    folder: Path | None = None,
    progress: Progress | None = None,
    offline: bool = False,
) -> list[Path]:
    """Files of a collection on the disk, downloaded unless they are there; the licence is said
    before the first byte.

    Args:
        collection: As `find_collection` returns it.
        names: Of the files.
        folder: Where they lie or go; None for the collection's own place.
        progress: Who watches.
        offline: Fetch nothing; so does `MSCOL_OFFLINE=1` in the environment.

    Raises:
        UsageError: The collection has no such file, or `MSCOL_MIRROR` is no web address.
        MissingDataError: What is there is damaged, no address gives the right file, or it would
            have to be fetched and must not.
    """
    place = folder or default_folder(collection)
    files = [collection.file(name) for name in names]
    watch = progress or Silent()
    missing = [file for file in files if not (place / file.name).exists()]
    if missing and (offline or os.environ.get(OFFLINE, "") not in ("", "0")):
        raise MissingDataError(
            f"{place / missing[0].name} is not there, and nothing is fetched offline: run 'mscol"
            f" download {collection.name}' where there is a network, and copy the folder"
        )
    if missing:
        size = format_bytes(sum(file.about for file in missing))
        watch.note(f"fetching {collection.title}, {size}, to {place}")
        watch.note(f"licence: {collection.licence} ({collection.licence_from})")
    return [_fetch_file(collection, file, place, watch) for file in files]


def _fetch_file(collection: Collection, file: RemoteFile, place: Path, watch: Progress) -> Path:
    if (place / file.name).exists():
        return check_present(file, place / file.name, watch)
    with alone_in(place, watch):
        return fetch(collection, file, place, Record(place, collection.name), watch)


def fetch(
    collection: Collection, file: RemoteFile, folder: Path, record: Record, progress: Progress
) -> Path:
    """One file of a collection, in a folder that is there and that no other process works in."""
    path = folder / file.name
    if path.exists():
        return check_present(file, path, progress)
    problems = []
    with Part.open(path, record.total(file.name)) as part:
        fetching = _Fetching(file, part, record, progress)
        for url in addresses(collection, file):
            try:
                found = fetching.from_address(url)
            except web.Unavailable as error:
                problems.append(f"{url} {error}")
                continue
            size = part.finish(path)
            record.came(file.name, found, size, url)
            return path
        raise _nowhere(path, part, problems)


def addresses(collection: Collection, file: RemoteFile) -> tuple[str, ...]:
    """Where a file is asked for: its addresses, or the mirror's. Raises UsageError."""
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return file.urls
    if not is_web_address(mirror):
        raise UsageError(f"{MIRROR} is '{mirror}', which is no http or https address.")
    return (f"{mirror.rstrip('/')}/{collection.name}/{quote(file.name)}",)


def check_present(file: RemoteFile, path: Path, progress: Progress) -> Path:
    """A file that is there, if it is the right one. Raises MissingDataError."""
    problem, _ = _examine(file, path, progress)
    if problem:
        raise MissingDataError(f"{path} is damaged ({problem}): delete it and run again")
    return path


class _Fetching:
    """One file on its way."""

    def __init__(self, file: RemoteFile, part: Part, record: Record, progress: Progress) -> None:
        self._file = file
        self._part = part
        self._record = record
        self._progress = progress
        self._expected = part.total if part.total is not None else file.size

    def from_address(self, url: str) -> Checksum:
        """Fetch what is missing; the hash of the whole file. Raises Unavailable."""
        while True:
            fresh = self._part.size == 0
            self._fill(url)
            problem, found = _examine(self._file, self._part.path, self._progress)
            if not problem:
                return found
            self._part.clear()
            if fresh:
                raise web.Unavailable(f"gave another file than was published ({problem})")
            self._say("what was fetched before does not fit: starting over")

    def _fill(self, url: str) -> None:
        """Ask again after each break, a few times. Raises Unavailable."""
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
                self._say(f"{error}: trying again in {pause:.0f} s")
                time.sleep(pause)

    def _request(self, url: str) -> None:
        """One request. Raises Broken, Unavailable."""
        if self._part.size and self._part.size == self._expected:
            return
        answer = self._open(url)
        if answer is None:
            return
        with answer:
            total = answer.total if answer.total is not None else self._file.size
            self._expected = answer.total
            self._record.begin(self._file.name, answer.total)
            if total is not None:
                require_space(total - self._part.size, self._part.path.parent, self._file.name)
            self._receive(answer, total)

    def _open(self, url: str) -> web.Answer | None:
        """An answer that goes on where the part ends; None when the part is all there is."""
        try:
            answer = web.ask(url, self._part.size)
        except web.PastTheEnd as past:
            if past.total == self._part.size:
                return None
            return self._anew(url, "the server's file is shorter than what was fetched")
        if answer.start and self._has_changed(answer):
            with answer:
                return self._anew(url, "the server's file has changed")
        if self._part.size and not answer.start:
            self._say("the server cannot go on in the middle: starting over")
            self._part.clear()
        return answer

    def _has_changed(self, answer: web.Answer) -> bool:
        return self._expected is not None and answer.total not in (None, self._expected)

    def _anew(self, url: str, why: str) -> web.Answer:
        self._say(f"{why}: starting over")
        self._part.clear()
        return web.ask(url, 0)

    def _receive(self, answer: web.Answer, total: int | None) -> None:
        """Write what comes. Raises Broken, Unavailable."""
        resumed = f" from {format_bytes(self._part.size)} on" if self._part.size else ""
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

    def _say(self, what: str) -> None:
        self._progress.note(f"{self._file.name}: {what}")


def _examine(file: RemoteFile, path: Path, progress: Progress) -> tuple[str, Checksum]:
    """What is wrong with a file, if anything, and its hash."""
    size = path.stat().st_size
    meter = ByteMeter(progress, f"checking {file.name}", size)
    found = hash_file(path, file.checksum, meter.add)
    progress.end()
    if file.checksum is not None and not file.checksum.fits(found):
        return f"expected {file.checksum}, found {found}", found
    # A file that fits all digits is the right one, whatever its size is said to be.
    known = file.checksum is not None and file.checksum.is_whole
    if file.size not in (None, size) and not known:
        return f"expected {file.size} bytes, found {size}", found
    return "", found


def _nowhere(path: Path, part: Part, problems: list[str]) -> MissingDataError:
    kept = (
        f"; {format_bytes(part.size)} are kept, and the same command goes on from there"
        if part.size
        else "; the same command tries again"
    )
    return MissingDataError(
        f"cannot fetch {path.name}: {'; '.join(problems)}{kept}. Or download it yourself and put it"
        f" at {path}"
    )
