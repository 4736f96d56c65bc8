"""`mscol map`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import TerminalProgress, print_result
from mscol_cli.system.units import counted


def draw_map(
    folder: Annotated[
        Path, typer.Argument(help="Folder of vectors, made by 'mscol embed'.", metavar="DIR")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The page.", metavar="FILE")
    ] = Path("map.html"),
    color: Annotated[
        list[str] | None,
        typer.Option(
            "--color",
            help="Colour by folder, by cluster, or by a column of a CSV file with a column 'id',"
            " such as one by 'mscol tag'; repeat for more, the first is shown. [default: folder]",
            metavar="folder|cluster|FILE[:COLUMN]",
        ),
    ] = None,
    clusters: Annotated[int, typer.Option(help="Number of clusters (k-means).", metavar="N")] = 8,
    title: Annotated[
        str | None,
        typer.Option(help="Heading of the page. [default: name of the folder]", metavar="TEXT"),
    ] = None,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Omit the links to audio files.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a folder of vectors as a map in one HTML page, in which similar clips lie together.

    The page needs no network. It pans, zooms, searches by name, plays clips and shows neighbours.
    """
    from mscol_cli.map.workflow import MapRequest, run

    request = MapRequest(folder, output, tuple(color or ()), clusters, title, not no_audio)
    with TerminalProgress() as progress:
        result = run(request, progress)
    line = (
        f"{result.output}: {counted(result.clips, 'clip')} by {result.model}, {result.layout},"
        f" {result.playable:,} with audio, coloured by {', '.join(result.colours)}"
    )
    print_result(result, json, [line])
