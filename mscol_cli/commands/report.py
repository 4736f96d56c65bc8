"""`mscol report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Device, Json, finish
from mscol_cli.commands.terminal import TerminalProgress, print_result


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders or names of runs in runs/, or folders of runs.",
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
            help="Folder with more probe results, such as those of an untrained encoder; repeat for"
            " more.",
            metavar="DIR",
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading of the page. [default: the runs]", metavar="TEXT")
    ] = None,
    neighbours: Annotated[
        int,
        typer.Option(help="Number of segments per run with nearest neighbours.", metavar="N"),
    ] = 3,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Omit the audio of these neighbours.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write one page on runs: scores, curves, neighbours to listen to, settings, data, commands.

    DIR/report.html is self-contained. DIR/report.md is the same page as Markdown, with its pictures
    in separate files.
    """
    from mscol_cli.report.workflow import ReportRequest, run

    request = ReportRequest(
        tuple(runs), tuple(probes or ()), output, title, neighbours, not no_audio, device
    )
    with TerminalProgress() as progress:
        result = run(request, progress)
    line = (
        f"{result.html} (runs: {result.runs}, probe results: {result.probes}; as Markdown:"
        f" {result.markdown})"
    )
    print_result(result, json, [line])
    finish(result.failures)
