"""`mscol import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Json, Opt
from mscol_cli.commands.terminal import TerminalProgress, print_json, print_lines


def import_checkpoint(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="TensorFlow: the .index file, a .data file, the start both names share, or the"
            " folder they are in.",
            metavar="CHECKPOINT",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The model folder, new or empty.", metavar="MODEL"),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            help="tensorflow or a plugin's. [default: the one that knows the file]", metavar="NAME"
        ),
    ] = None,
    opt: Opt = None,
    json: Json = False,
) -> None:
    """Import a published model, so that embed and probe use it like a run of one's own.

    Reads the TensorFlow checkpoints of the MSA paper (arXiv 2302.07077) without TensorFlow.
    Checksums are verified, and every variable must have its place; the optimiser is left out.
    Then: mscol embed song.mp3 --model MODEL
    """
    from mscol_cli.importing.workflow import ImportRequest, run

    request = ImportRequest(checkpoint, output, format, tuple(opt or ()))
    with TerminalProgress() as progress:
        result = run(request, progress)
    if json:
        print_json(result)
        return
    left_out = ", ".join(f"{count} {kind}" for kind, count in result.left_out.items()) or "none"
    print_lines(
        f"{result.model}: encoder {result.encoder}, objective {result.objective},"
        f" step {result.step}",
        f"{result.mapped} variables mapped, left out: {left_out}",
    )
