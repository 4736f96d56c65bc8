"""`mscol report`."""

from __future__ import annotations

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json, finish
from mscol_cli.commands.terminal import print_result
from mscol_cli.report.request import ReportRequest


@with_request()
def report(request: ReportRequest, json: Json = False) -> None:
    """Write one page on runs: scores, curves, neighbours to listen to, settings, data, commands.

    DIR/report.html is self-contained. DIR/report.md is the same page as Markdown, with its pictures
    in separate files.
    """
    from mscol_cli.report.workflow import run

    with TerminalProgress() as progress:
        result = run(request, progress)
    line = (
        f"{result.html} (runs: {result.runs}, probe results: {result.probes}; as Markdown:"
        f" {result.markdown})"
    )
    print_result(result, json, [line])
    finish(result.failures)
