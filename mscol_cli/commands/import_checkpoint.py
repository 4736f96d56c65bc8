"""`mscol import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Json, Opt
from mscol_cli.commands.terminal import TerminalProgress, print_result


def import_checkpoint(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="TensorFlow: the .index file, a .data file, their common prefix, or their folder.",
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
            help="Importer: tensorflow or one of a plugin. [default: detected]", metavar="NAME"
        ),
    ] = None,
    opt: Opt = None,
    json: Json = False,
) -> None:
    """Import a published model for use in embed and probe.

    Reads the TensorFlow checkpoints of the MSA paper (arXiv 2302.07077) without TensorFlow.
    Checksums are verified, and every variable must be mapped; the optimizer state is dropped.
    Then: mscol embed song.mp3 --model MODEL
    """
    from mscol_cli.importing.workflow import ImportRequest, run

    request = ImportRequest(checkpoint, output, format, tuple(opt or ()))
    with TerminalProgress() as progress:
        result = run(request, progress)
    left_out = ", ".join(f"{count} {kind}" for kind, count in result.left_out.items()) or "none"
    lines = [
        f"{result.model}: encoder {result.encoder}, objective {result.objective},"
        f" step {result.step}",
        f"{result.mapped} variables mapped, left out: {left_out}",
    ]
    print_result(result, json, lines)
