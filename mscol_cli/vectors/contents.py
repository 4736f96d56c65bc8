"""`mscol vectors info` and `export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.errors import MissingDataError
from mscol_cli.system.files import used_bytes
from mscol_cli.system.outcomes import writing
from mscol_cli.vectors.export import check_export_path, export_vectors
from mscol_cli.vectors.folder import VectorFolder
from mscol_cli.vectors.header import VectorHeader
from mscol_cli.vectors.records import index_paths


@dataclass(frozen=True)
class VectorsInfo:
    """Summary of a folder of vectors.

    Attributes:
        folder: The folder.
        header: Content of its header.
        clips: Number of files with vectors.
        vectors: Number of vectors.
        windows: Number of windows they were computed from.
        failures: Number of files without vectors.
        short: Number of files with vectors of which a part is missing.
        bytes: Size of all files of the folder.
        unused: Bytes of vectors that were replaced or removed.
    """

    folder: Path
    header: VectorHeader
    clips: int
    vectors: int
    windows: int
    failures: int
    short: int
    bytes: int
    unused: int


@dataclass(frozen=True)
class ExportResult:
    """Result of an export.

    Attributes:
        output: The file.
        model: Name of the model.
        model_hash: SHA-256 of its weights.
        clips: Number of files with vectors.
        vectors: Number of vectors.
    """

    output: Path
    model: str
    model_hash: str
    clips: int
    vectors: int


def info(path: Path) -> VectorsInfo:
    """Summarise a folder. Raises MissingDataError, UsageError."""
    folder = VectorFolder.open(path)
    entries, size = folder.entries, folder.header.row_bytes
    vectors = sum(entry.rows for entry in entries)
    shards = (folder.shard_path(int(index.stem)) for index in index_paths(path))
    stored = sum(shard.stat().st_size for shard in shards if shard.exists())
    return VectorsInfo(
        folder=path,
        header=folder.header,
        clips=sum(entry.rows > 0 for entry in entries),
        vectors=vectors,
        windows=sum(entry.windows for entry in entries),
        failures=sum(entry.failure is not None for entry in entries),
        short=sum(entry.shortfall is not None for entry in entries),
        bytes=used_bytes(path),
        unused=max(0, stored - vectors * size),
    )


def export(path: Path, output: Path) -> ExportResult:
    """Write the vectors of a folder to one file.

    Raises:
        MissingDataError: The folder is missing or has no vectors.
        UsageError: The suffix of the output is unknown, or needs a package that is not installed.
        MscolError: The vectors are damaged, or the output cannot be written.
    """
    check_export_path(output)
    folder = VectorFolder.open(path)
    clips = sum(entry.rows > 0 for entry in folder.entries)
    if not clips:
        raise MissingDataError(f"{path} has no vectors yet: run 'mscol embed INPUT... -o {path}'.")
    with writing(output):
        rows = export_vectors(folder, output)
    header = folder.header
    return ExportResult(output, header.model, header.model_hash, clips, rows)
