"""store verify: every checksum, and every record against the arrays it points into."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.downloads.meter import ByteMeter
from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.store import StoreHeader
from mscol_cli.store.verify import check_files, check_records


@dataclass(frozen=True)
class VerifyResult:
    """What was found.

    Attributes:
        store: Its folder.
        files: Files that have a checksum.
        bytes: Of those that are there.
        tracks: By `store.json`.
        missing: Files that are gone, by their path in the store.
        damaged: One line for each file or track that is not what it was.
        seconds: How long it took.
    """

    store: Path
    files: int
    bytes: int
    tracks: int
    missing: list[str]
    damaged: list[str]
    seconds: float


def run(path: Path, progress: Progress) -> VerifyResult:
    """Read the whole of a sealed store and say what is wrong with it.

    Raises:
        MissingDataError: There is no store, or it is not finished.
        UsageError: It has the layout of another mscol.
    """
    begun = time.monotonic()
    header = StoreHeader.read(path)
    if not header.sealed:
        raise MissingDataError(f"{path} is not finished: run `mscol separate ...` again")
    there = [path / name for name in header.checksums if (path / name).is_file()]
    size = sum(file.stat().st_size for file in there)
    meter = ByteMeter(progress, "checking", size)
    files, records = check_files(path, header, meter.add), check_records(path, header)
    progress.end()
    return VerifyResult(
        store=path,
        files=len(header.checksums),
        bytes=size,
        tracks=header.tracks,
        missing=files.missing,
        damaged=[*files.damaged, *records.damaged],
        seconds=round(time.monotonic() - begun, 3),
    )


def raise_if_damaged(result: VerifyResult) -> None:
    """End badly if something is wrong. Raises MissingDataError for a missing file, MscolError."""
    what = "restore what is named above, or separate again with -o elsewhere"
    if result.missing:
        raise MissingDataError(f"{result.store} lacks files: {what}")
    if result.damaged:
        raise MscolError(f"{result.store} is damaged: {what}")
