"""`mscol vectors verify`: check a folder of vectors against its checksums and indexes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.progress import ByteMeter, Progress
from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.system.json_files import INVALID
from mscol_cli.vectors.folder import VectorFolder
from mscol_cli.vectors.records import VectorEntry, index_paths


@dataclass(frozen=True)
class VerifyResult:
    """Result of a verification.

    Attributes:
        folder: The folder.
        clips: Number of files with vectors.
        failures: Number of files without vectors.
        bytes: Size of the vectors.
        missing: Missing shards.
        damaged: One line for each damaged line or file.
        seconds: Processing time.
    """

    folder: Path
    clips: int
    failures: int
    bytes: int
    missing: list[str]
    damaged: list[str]
    seconds: float


def run(path: Path, progress: Progress) -> VerifyResult:
    """Read all vectors of a folder and report problems.

    Raises:
        MissingDataError: The folder is missing, or is not a folder of vectors.
        UsageError: The header is damaged, or that of another version of mscol.
    """
    begun = time.monotonic()
    folder = VectorFolder.open(path)
    entries = [entry for entry in folder.entries if entry.rows]
    size = sum(entry.rows for entry in entries) * folder.header.row_bytes
    meter = ByteMeter(progress, "checking", size)
    shards = {folder.shard_path(entry.shard) for entry in entries}
    missing = sorted(shard.name for shard in shards if not shard.is_file())
    damaged = [line for index in index_paths(path) for line in _damaged_lines(index)]
    with folder.keeping_open():
        for entry in sorted(entries, key=lambda entry: (entry.shard, entry.row)):
            name = folder.shard_path(entry.shard).name
            if name not in missing and not folder.is_intact(entry):
                damaged.append(f"{name}: the vectors of {entry.id} do not match their checksum")
            meter.add(entry.rows * folder.header.row_bytes)
    progress.end()
    return VerifyResult(
        folder=path,
        clips=len(entries),
        failures=sum(entry.failure is not None for entry in folder.entries),
        bytes=size,
        missing=missing,
        damaged=damaged,
        seconds=round(time.monotonic() - begun, 3),
    )


def raise_if_damaged(result: VerifyResult) -> None:
    """Raise MissingDataError if a shard is missing, MscolError if the folder is damaged."""
    advice = (
        "delete the shards named above with their .jsonl files and run the same embed command again"
    )
    if result.missing:
        raise MissingDataError(f"{result.folder} lacks shards: {advice}")
    if result.damaged:
        raise MscolError(f"{result.folder} is damaged: {advice}")


def _damaged_lines(index: Path) -> Iterator[str]:
    """Lines that are not entries. An unfinished last line is what an interruption leaves."""
    with index.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                VectorEntry.from_line(line, 0)
            except INVALID:
                yield f"{index.name}: line {number} is damaged"
