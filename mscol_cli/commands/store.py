"""`mscol store`: inspect, verify and export a store."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mscol_cli.commands import shared
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json, finish
from mscol_cli.commands.terminal import print_result, printable
from mscol_cli.system.units import counted, format_bytes, format_duration

if TYPE_CHECKING:
    from mscol_cli.store.contents import ManifestLine, StoreInfo, TrackInfo
    from mscol_cli.store.verify import VerifyResult

store = typer.Typer(help="Inspect, verify or export a store.", no_args_is_help=True)
StoreFolder = Annotated[Path, typer.Argument(help="A store's folder.", metavar="STORE")]


@store.command()
def info(path: StoreFolder, json: Json = False) -> None:
    """Show the content of a store, its separator with settings, and its licence."""
    from mscol_cli.store.contents import info as read

    content = read(path)
    print_result(content, json, _format_store(content))


@store.command()
def ls(path: StoreFolder, json: Json = False) -> None:
    """List the tracks: seconds, segments, active sources, id."""
    from mscol_cli.store.contents import tracks as read

    tracks = read(path)
    print_result(tracks, json, _format_tracks(tracks))


@store.command()
def manifest(path: StoreFolder, json: Json = False) -> None:
    """List every input file: status and reason, decoded and declared seconds, hash."""
    from mscol_cli.store.contents import manifest as read

    lines = read(path)
    print_result(lines, json, _format_manifest(lines))


@store.command()
def verify(path: StoreFolder, json: Json = False) -> None:
    """Verify the checksum of every file, and the arrays of every track."""
    from mscol_cli.store.verify import raise_if_damaged, run

    shared.verify(partial(run, path), raise_if_damaged, _format_verified, json)


@store.command()
def export(
    path: StoreFolder,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the files.", metavar="DIR")
    ],
    tracks: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of tracks, see 'mscol store ls'.", metavar="TRACK"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Export all tracks.")] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Source to export; repeat for more. [default: all, and the mixture]",
            metavar="NAME",
        ),
    ] = None,
    audio_format: Annotated[
        str, typer.Option("--format", help="flac, wav or ogg.", metavar="FORMAT")
    ] = "flac",
    json: Json = False,
) -> None:
    """Write tracks as audio files, 16 kHz mono, to DIR/TRACK/SOURCE.flac.

    Existing files are not overwritten.
    """
    from mscol_cli.store.export import StoreExportRequest, run

    chosen = tuple(tracks or ()), every, tuple(source or ())
    request = StoreExportRequest(path, output, *chosen, audio_format)
    with TerminalProgress() as progress:
        result = run(request, progress)
    scaled = f", {result.scaled} tracks scaled down to full scale" if result.scaled else ""
    line = (
        f"{result.output}: {counted(result.written, 'file')} of {counted(result.tracks, 'track')}"
        f" written ({result.kept} existed before{scaled})"
    )
    print_result(result, json, [line])
    finish(result.failures)


def _format_store(info: StoreInfo) -> Iterator[str]:
    separator = info.separator
    state = "sealed" if info.sealed else "not finished: run 'mscol separate ...' again"
    yield f"{info.store}: {state}"
    yield (
        f"tracks {info.tracks:,}, music {format_duration(3600 * info.hours)},"
        f" segments {info.segments:,}, {format_bytes(info.bytes)}"
    )
    if info.failures is not None:
        yield f"inputs that failed: {info.failures}"
    yield f"separator: {separator.name}, by {separator.owner} {separator.version}"
    for name, value in {**separator.options, **separator.passport}.items():
        yield f"  {name}: {','.join(map(str, value)) if isinstance(value, list) else value}"
    if info.active is not None:
        yield "segments in which a source sounds:"
        yield from (f"  {name}: {share:.1%}" for name, share in info.active.items())


def _format_verified(result: VerifyResult) -> str:
    return (
        f"{result.store}: all {counted(result.files, 'file')} match their checksums"
        f" ({format_bytes(result.bytes)}, {counted(result.tracks, 'track')})"
    )


def _format_tracks(tracks: list[TrackInfo]) -> Iterator[str]:
    """One column per field of the tracks, with the id last."""
    rows = [
        [_cell(value) for name, value in vars(track).items() if name != "id"] for track in tracks
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for track, row in zip(tracks, rows, strict=True):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield " ".join([*cells, printable(track.id)])


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value) or "-"
    return f"{value:5}" if isinstance(value, int) else _seconds(cast(float | None, value))


def _format_manifest(lines: list[ManifestLine]) -> Iterator[str]:
    for line in lines:
        lengths = f"{_seconds(line.seconds)} {_seconds(line.declared_seconds)}"
        name = f"{printable(line.input)} [{line.role}]" if line.role else printable(line.input)
        reason = f": {printable(line.reason)}" if line.reason else ""
        yield f"{line.status:6} {lengths} {(line.sha256 or '-')[:12]:12} {name}{reason}"


def _seconds(seconds: float | None) -> str:
    return f"{'-':>9}" if seconds is None else f"{seconds:9.2f}"
