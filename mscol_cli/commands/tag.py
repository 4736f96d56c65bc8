"""`mscol tag`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json, finish
from mscol_cli.commands.terminal import print_json, print_lines, print_table, printable
from mscol_cli.system.units import counted
from mscol_cli.tag.request import TagRequest

if TYPE_CHECKING:
    from mscol_cli.tag.output import Tag
    from mscol_cli.tag.workflow import TagResult


@with_request()
def tag(request: TagRequest, json: Json = False) -> None:
    """Tag audio with the classifier that 'mscol probe --save' kept: classes with calibrated scores
    for each file."""
    from mscol_cli.tag.workflow import run

    with TerminalProgress() as progress:
        result = run(request, progress)
    if json:
        print_json(result)
    elif request.output is not None:
        print_lines(
            f"{request.output}: {counted(result.clips, 'clip')}, tagged as in {result.task},"
            f" by {result.model}"
        )
    elif request.windows:
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
