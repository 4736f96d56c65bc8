"""`mscol download`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import TerminalProgress, print_json, print_lines, print_table
from mscol_cli.errors import UsageError
from mscol_cli.system.units import format_bytes, format_duration

if TYPE_CHECKING:
    from mscol_cli.download.workflow import DownloadResult


def download(
    name: Annotated[
        str | None,
        typer.Argument(help="mtat, nsynth, fma, umxl, umxhq or umxse.", metavar="NAME"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where to. [default: data/NAME; for weights torch.hub's folder]",
            metavar="DIR",
        ),
    ] = None,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep archives when they are unpacked.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be fetched, and stop.")
    ] = False,
    json: Json = False,
) -> None:
    """Download a public data set, or weights: licence first, resumable, checked by hash, unpacked.

    Without NAME, list what there is with size and licence. Running the same command again goes on
    where it stopped, and does nothing when all is there.
    """
    from mscol_cli.download.workflow import DownloadRequest, run

    if name is None:
        if output is not None or keep_archives or dry_run:
            raise UsageError("say what to download; 'mscol download' alone lists it.")
        _list(json)
        return
    with TerminalProgress() as progress:
        result = run(DownloadRequest(name, output, keep_archives, dry_run), progress)
    if json:
        print_json(result)
    else:
        print_lines(*_format_result(result))


def _list(json: bool) -> None:
    from mscol_cli.download.workflow import available

    found = available()
    if json:
        keys = ("name", "title", "licence", "licence_from", "page", "folder", "size")
        print_json([{key: getattr(item, key) for key in keys} for item in found])
        return
    rows = [(item.name, item.title, format_bytes(item.size), item.licence) for item in found]
    print_table(("name", "what it is", "download", "licence"), rows)


def _format_result(result: DownloadResult) -> list[str]:
    if result.dry_run:
        return [f"{file.state:8}  {file.url}" for file in result.files]
    fetched = sum(file.state == "fetched" for file in result.files)
    unpacked = len(result.archives_unpacked)
    took = format_duration(result.seconds)
    done = f"files fetched: {fetched}, archives unpacked: {unpacked}, in {took}"
    return [f"{result.folder}: {result.layout}", done if fetched or unpacked else "nothing to do"]
