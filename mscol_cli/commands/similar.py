"""`mscol similar`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json, finish
from mscol_cli.commands.terminal import print_json, print_lines, print_table, printable
from mscol_cli.errors import UsageError
from mscol_cli.similar.request import SimilarRequest

if TYPE_CHECKING:
    from mscol_cli.similar.workflow import Answer, Neighbour


@with_request()
def similar(
    request: SimilarRequest,
    m3u: Annotated[bool, typer.Option("--m3u", help="Print a playlist on stdout.")] = False,
    json: Json = False,
) -> None:
    """Find the clips of a folder of vectors that are most similar to a file, or to a moment in it.

    The search is exact, by cosine similarity. A query that is in the folder is left out of its own
    neighbours.
    """
    from mscol_cli.similar.playlist import playlist
    from mscol_cli.similar.workflow import run

    if json and m3u:
        raise UsageError("--json and --m3u exclude each other: choose one.")
    with TerminalProgress() as progress:
        result = run(request, progress)
    if json:
        print_json(result)
    elif m3u:
        print_lines(*playlist(result.answers))
    else:
        _print_answers(result.answers)
    finish(result.failures)


def _print_answers(answers: Sequence[Answer]) -> None:
    for number, answer in enumerate(answers):
        print_lines(*([""] if number else []), f"{printable(answer.query)}:")
        windows = any(item.start_s is not None for item in answer.neighbours)
        header = ("similarity", *(("start",) if windows else ()), "clip")
        print_table(header, [_row(item) for item in answer.neighbours])


def _row(neighbour: Neighbour) -> tuple[str, ...]:
    start = () if neighbour.start_s is None else (_clock(neighbour.start_s),)
    return f"{neighbour.similarity:.3f}", *start, printable(neighbour.id)


def _clock(seconds: float) -> str:
    """Minutes and seconds, as in a query: `1:02.7`."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
