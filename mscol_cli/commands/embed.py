"""`mscol embed`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mscol_cli.commands.options import OUTPUT, PROCESSES, with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json, finish, format_done_before
from mscol_cli.commands.terminal import print_result
from mscol_cli.embed.request import EmbedRequest
from mscol_cli.system.units import counted

if TYPE_CHECKING:
    from mscol_cli.embed.workflow import EmbedResult


@with_request(
    {
        "Model and input": ("model", "encoder", "source"),
        "Vectors": ("hop", "pool", "windows", "precision"),
        OUTPUT: ("output", "json"),
        PROCESSES: ("jobs", "gpus", "device"),
    }
)
def embed(request: EmbedRequest, json: Json = False) -> None:
    """Embed audio: one vector per file, the mean over its windows of about one second.

    A folder of vectors is updated: only new and changed files are embedded. The same command
    resumes an interrupted run; a file that cannot be used is reported and skipped (exit code 3).
    """
    from mscol_cli.embed.workflow import run

    with TerminalProgress() as progress:
        result = run(request, progress)
    print_result(result, json, _format_result(result))
    finish(result.failures)


def _format_result(result: EmbedResult) -> Iterator[str]:
    if not result.finished:
        yield f"{result.output}: all files are done, the first process prints the result"
        return
    changes = [format_done_before(result.done_before)] if result.done_before else []
    changes += [f"{result.removed:,} removed"] if result.removed else []
    note = f" ({', '.join(changes)})" if changes else ""
    yield (
        f"{result.output}: {counted(result.clips, 'clip')}{note},"
        f" {counted(result.windows, 'window')}, {result.dim} dimensions, by {result.model}"
    )
