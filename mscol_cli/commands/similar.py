"""`mscol similar`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.shared import Device, Json, finish
from mscol_cli.commands.terminal import (
    TerminalProgress,
    print_json,
    print_lines,
    print_table,
    printable,
)
from mscol_cli.errors import UsageError

if TYPE_CHECKING:
    from mscol_cli.similar.workflow import Answer, Neighbour

FolderModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Where the model of the vectors is, for queries that are not among them."
        " [default: the model that the folder names]",
        metavar="RUN",
    ),
]


def similar(
    queries: Annotated[
        list[str],
        typer.Argument(
            help="Audio files, or ids of clips in the folder; NAME@1:23 is a moment in one.",
            metavar="QUERY",
        ),
    ],
    folder: Annotated[
        Path, typer.Option("--in", help="Folder of vectors, made by 'mscol embed'.", metavar="DIR")
    ],
    count: Annotated[
        int, typer.Option("-k", help="Number of neighbours of each query.", metavar="N")
    ] = 10,
    model: FolderModel = None,
    m3u: Annotated[bool, typer.Option("--m3u", help="Print a playlist on stdout.")] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find the clips of a folder of vectors that are most similar to a file, or to a moment in it.

    The search is exact, by cosine similarity. A query that is in the folder is left out of its own
    neighbours.
    """
    from mscol_cli.similar.playlist import playlist
    from mscol_cli.similar.workflow import SimilarRequest, run

    if json and m3u:
        raise UsageError("--json and --m3u exclude each other: choose one.")
    request = SimilarRequest(tuple(queries), folder, count, model, device)
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
