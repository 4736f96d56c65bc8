"""`mscol report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Device, Json, finish
from mscol_cli.commands.terminal import TerminalProgress, print_json, print_lines


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders or names of runs in runs/, or folders that hold runs.",
            metavar="RUN|DIR...",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the report.", metavar="DIR")
    ] = Path("report"),
    probes: Annotated[
        list[Path] | None,
        typer.Option(
            "--probes",
            help="A folder with more probe results, such as those of an untrained encoder; repeat"
            " it for more.",
            metavar="DIR",
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading of the page. [default: the runs]", metavar="TEXT")
    ] = None,
    neighbours: Annotated[
        int,
        typer.Option(help="Segments per run to show the nearest neighbours of.", metavar="N"),
    ] = 3,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Leave out the sound of these neighbours.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write one page on runs: scores, curves, neighbours to listen to, settings, data, commands.

    DIR/report.html needs nothing else, neither network nor files; DIR/report.md is the same as
    Markdown, with its pictures beside it.
    """
    from mscol_cli.report.workflow import ReportRequest, run

    request = ReportRequest(
        tuple(runs), tuple(probes or ()), output, title, neighbours, not no_audio, device
    )
    with TerminalProgress() as progress:
        result = run(request, progress)
    if json:
        print_json(result)
    else:
        print_lines(
            f"{result.html} (runs: {result.runs}, probe results: {result.probes}; the same as"
            f" Markdown: {result.markdown})"
        )
    finish(result.failures)
