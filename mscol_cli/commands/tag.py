"""`mscol tag`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.shared import Device, Json, Source, finish
from mscol_cli.commands.terminal import (
    TerminalProgress,
    print_json,
    print_lines,
    print_table,
    printable,
)
from mscol_cli.system.units import counted

if TYPE_CHECKING:
    from mscol_cli.tag.output import Tag
    from mscol_cli.tag.workflow import TagResult


def tag(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Audio files, folders searched recursively, sealed stores, or folders of vectors.",
            metavar="INPUT",
            readable=False,
        ),
    ],
    head: Annotated[
        Path,
        typer.Option("--head", help="Folder of a result of 'mscol probe --save'.", metavar="PROBE"),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="The model that the head was trained on, if it has been moved. [default: the"
            " recorded one]",
            metavar="RUN",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("-k", "--top", help="Number of classes per file, the most probable.")
    ] = 5,
    windows: Annotated[
        bool, typer.Option("--windows", help="Tag each window, with its start in seconds.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Output file: .csv or .json. [default: the tags are printed]",
            metavar="FILE",
        ),
    ] = None,
    source: Source = "mixture",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Tag audio with the classifier that 'mscol probe --save' kept: classes with calibrated scores
    for each file."""
    from mscol_cli.tag.workflow import TagRequest, run

    request = TagRequest(tuple(inputs), head, top, model, windows, output, source, device)
    with TerminalProgress() as progress:
        result = run(request, progress)
    if json:
        print_json(result)
    elif output is not None:
        print_lines(
            f"{output}: {counted(result.clips, 'clip')}, tagged as in {result.task},"
            f" by {result.model}"
        )
    elif windows:
        print_table(("file", "start", "tags"), list(_window_rows(result)))
    else:
        rows = [
            (printable(file.id), _format(file.tags, result.multilabel)) for file in result.files
        ]
        print_table(("file", "tags"), rows)
    finish(result.failures)


def _window_rows(result: TagResult) -> Iterator[tuple[str, str, str]]:
    for file in result.files:
        for window in file.windows or ():
            yield (
                printable(file.id),
                f"{window.start_s:.2f} s",
                _format(window.tags, result.multilabel),
            )


def _format(tags: Sequence[Tag], multilabel: bool) -> str:
    """Names with scores; a star marks those that a multi-label head assigns."""
    return ", ".join(
        f"{tag.name} {tag.score:.2f}{'*' if multilabel and tag.assigned else ''}" for tag in tags
    )
