"""`mscol vectors`: inspect, verify and export a folder of vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands import shared
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_result, printable
from mscol_cli.system.units import counted, format_bytes

if TYPE_CHECKING:
    from mscol_cli.vectors import VectorEntry
    from mscol_cli.vectors.contents import VectorsInfo
    from mscol_cli.vectors.verify import VerifyResult

vectors = typer.Typer(help="Inspect, verify or export a folder of vectors.", no_args_is_help=True)
SHOWN = 5
"""Damaged clips of a shard that `verify` prints."""
VectorsFolder = Annotated[
    Path, typer.Argument(help="A folder of vectors, by 'mscol embed'.", metavar="VECTORS")
]


@vectors.command()
def info(path: VectorsFolder, json: Json = False) -> None:
    """Show the model, the windows and the size of a folder."""
    from mscol_cli.vectors.contents import info as read

    content = read(path)
    print_result(content, json, _format_info(content))


@vectors.command()
def ls(path: VectorsFolder, json: Json = False) -> None:
    """List the files: vectors, windows, id, and the reason of a failure or missing audio."""
    from mscol_cli.vectors import VectorFolder

    entries = VectorFolder.open(path).entries
    print_result(entries, json, map(_format_entry, entries))


@vectors.command()
def verify(path: VectorsFolder, json: Json = False) -> None:
    """Verify the checksum of every vector, the sizes of the shards and the lines of the indexes."""
    from mscol_cli.vectors.verify import raise_if_damaged, run

    shared.verify(partial(run, path), raise_if_damaged, _format_verified, json, _shortened)


@vectors.command()
def export(
    path: VectorsFolder,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="File: .npz, .csv, .safetensors or .parquet.", metavar="FILE"
        ),
    ],
    json: Json = False,
) -> None:
    """Write the vectors of a folder to one file, in bounded memory."""
    from mscol_cli.vectors.contents import export as write

    result = write(path, output)
    size = f"{counted(result.clips, 'clip')}, {counted(result.vectors, 'vector')}"
    line = f"{output}: {size}, by {result.model}"
    print_result(result, json, [line])


def _format_verified(result: VerifyResult) -> str:
    return (
        f"{result.folder}: the vectors of all {result.clips:,} clips match their checksums"
        f" ({format_bytes(result.bytes)})"
    )


def _shortened(damaged: Sequence[str]) -> Iterator[str]:
    """The first lines about each file: a shard may have many thousands of clips."""
    for name, group in groupby(damaged, key=lambda line: line.partition(":")[0]):
        lines = list(group)
        yield from lines[:SHOWN]
        if len(lines) > SHOWN:
            yield f"{name}: {len(lines) - SHOWN:,} more; --json lists all"


def _format_info(info: VectorsInfo) -> Iterator[str]:
    header = info.header
    size = f"{counted(info.clips, 'clip')}, {counted(info.vectors, 'vector')}"
    yield f"{info.folder}: {size}, {header.dim} dimensions"
    yield f"model {header.model}, encoder {header.encoder}, hash {header.model_hash[:12]}"
    hop, window = (1 / header.sample_rate * size for size in (header.hop, header.window))
    yield (
        f"{counted(info.windows, 'window')} of {window:.3f} s every {hop:.3f} s,"
        f" pool {header.pool}, {header.precision}, source {header.source}"
    )
    unused = f", of which {format_bytes(info.unused)} are unused" if info.unused else ""
    yield f"{format_bytes(info.bytes)}{unused}"
    if info.failures:
        yield f"files without vectors: {info.failures:,} (see 'mscol vectors ls')"
    if info.short:
        yield f"files with missing audio: {info.short:,} (see 'mscol vectors ls')"


def _format_entry(entry: VectorEntry) -> str:
    remark = ""
    if entry.failure is not None:
        remark = f": {printable(entry.failure)}"
    elif entry.shortfall is not None:
        remark = f": short: {printable(entry.shortfall)}"
    elif entry.silent:
        remark = ": silent"
    return f"{entry.rows:6} {entry.windows:6} {printable(entry.id)}{remark}"
