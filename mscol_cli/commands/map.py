"""`mscol map`."""

from __future__ import annotations

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_result
from mscol_cli.map.request import MapRequest
from mscol_cli.system.units import counted


@with_request()
def draw_map(request: MapRequest, json: Json = False) -> None:
    """Write a folder of vectors as a map in one HTML page, in which similar clips lie together.

    The page needs no network. It pans, zooms, searches by name, plays clips and shows neighbours.
    """
    from mscol_cli.map.workflow import run

    with TerminalProgress() as progress:
        result = run(request, progress)
    line = (
        f"{result.output}: {counted(result.clips, 'clip')} by {result.model}, {result.layout},"
        f" {result.playable:,} with audio, coloured by {', '.join(result.colours)}"
    )
    print_result(result, json, [line])
