"""`mscol store`: look inside a store, check it, take tracks out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer

from mscol_cli.commands.shared import Json, finish
from mscol_cli.commands.terminal import TerminalProgress, print_json, print_lines
from mscol_cli.system.units import format_bytes, format_duration

if TYPE_CHECKING:
    from mscol_cli.store.contents import ManifestLine, StoreInfo, TrackInfo

store = typer.Typer(
    help="Look inside a store, check it, or take tracks out of it.", no_args_is_help=True
)
Found = TypeVar("Found")
StoreFolder = Annotated[Path, typer.Argument(help="A store's folder.", metavar="STORE")]


@store.command()
def info(path: StoreFolder, json: Json = False) -> None:
    """Say what a store holds, who separated it and how, and under which licence."""
    from mscol_cli.store.contents import info as look

    _show(look(path), json, _format_store)


@store.command()
def ls(path: StoreFolder, json: Json = False) -> None:
    """List the tracks: seconds, segments, sources that sound, id."""
    from mscol_cli.store.contents import tracks

    _show(tracks(path), json, _listed)


@store.command()
def manifest(path: StoreFolder, json: Json = False) -> None:
    """List every input file: done or failed and why, seconds decoded and declared, hash."""
    from mscol_cli.store.contents import manifest as read

    _show(read(path), json, _accounted)


@store.command()
def verify(path: StoreFolder, json: Json = False) -> None:
    """Compare every file with its checksum, and every track with the arrays it lies in."""
    from mscol_cli.store.verify import raise_if_damaged, run

    with TerminalProgress() as progress:
        result = run(path, progress)
        for name in result.missing:
            progress.warn(f"{name}: is missing")
        for line in result.damaged:
            progress.warn(line)
    if json:
        print_json(result)
    raise_if_damaged(result)
    if not json:
        print_lines(
            f"{path}: all {result.files} files are as they were sealed"
            f" ({format_bytes(result.bytes)}, {result.tracks} tracks)"
        )


@store.command()
def export(
    path: StoreFolder,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the files.", metavar="DIR")
    ],
    tracks: Annotated[
        list[str] | None,
        typer.Argument(help="Ids, as 'mscol store ls' lists them.", metavar="TRACK"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every track of the store.")] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this source; repeat it for more. [default: all, and the mixture]",
            metavar="NAME",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="flac, wav or ogg.", metavar="FORMAT")
    ] = "flac",
    json: Json = False,
) -> None:
    """Write tracks as audio files, 16 kHz mono, to DIR/TRACK/SOURCE.flac.

    A file that is there already is left as it is.
    """
    from mscol_cli.store.export import ExportRequest, run

    request = ExportRequest(path, output, tuple(tracks or ()), every, tuple(source or ()), form)
    with TerminalProgress() as progress:
        result = run(request, progress)
    if json:
        print_json(result)
    else:
        turned = f", {result.scaled} tracks turned down to full scale" if result.scaled else ""
        print_lines(
            f"{result.output}: {result.written} files of {result.tracks} tracks written"
            f" ({result.kept} were there before{turned})"
        )
    finish(result.failures)


def _show(found: Found, json: bool, lines: Callable[[Found], Iterator[str]]) -> None:
    if json:
        print_json(found)
    else:
        print_lines(*lines(found))


def _format_store(found: StoreInfo) -> Iterator[str]:
    separator = found.separator
    state = "sealed" if found.sealed else "not finished: run 'mscol separate ...' again"
    yield f"{found.store}: {state}"
    yield (
        f"tracks {found.tracks:,}, music {format_duration(3600 * found.hours)},"
        f" segments {found.segments:,}, {format_bytes(found.bytes)}"
    )
    if found.failures is not None:
        yield f"inputs that failed: {found.failures}"
    yield f"separator: {separator.name}, by {separator.owner} {separator.version}"
    for name, value in {**separator.options, **separator.passport}.items():
        yield f"  {name}: {','.join(value) if isinstance(value, list) else value}"
    if found.active is not None:
        yield "segments in which a source sounds:"
        yield from (f"  {name}: {share:.1%}" for name, share in found.active.items())


def _listed(tracks: list[TrackInfo]) -> Iterator[str]:
    """A column for each field of the tracks, the id last."""
    rows = [
        [_cell(value) for name, value in vars(track).items() if name != "id"] for track in tracks
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for track, row in zip(tracks, rows, strict=True):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield " ".join([*cells, _shown(track.id)])


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value) or "-"
    return f"{value:5}" if isinstance(value, int) else _length(cast(float | None, value))


def _accounted(lines: list[ManifestLine]) -> Iterator[str]:
    for line in lines:
        lengths = f"{_length(line.seconds)} {_length(line.declared_seconds)}"
        name = f"{_shown(line.input)} [{line.role}]" if line.role else _shown(line.input)
        reason = f": {_shown(line.reason)}" if line.reason else ""
        yield f"{line.status:6} {lengths} {(line.sha256 or '-')[:12]:12} {name}{reason}"


def _length(seconds: float | None) -> str:
    return f"{'-':>9}" if seconds is None else f"{seconds:9.2f}"


def _shown(text: str) -> str:
    """A name from a file system, which may hold line ends and what terminals obey."""
    return text if text.isprintable() else repr(text)
