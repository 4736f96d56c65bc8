"""`mscol embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Device, Json, ModelOption, UntrainedEncoder, finish
from mscol_cli.commands.terminal import TerminalProgress, print_result


def embed(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Audio files, folders searched recursively, or sealed stores.", metavar="INPUT"
        ),
    ],
    model: ModelOption = None,
    encoder: UntrainedEncoder = None,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="Output file: .npz, .csv or .safetensors.", metavar="FILE"
        ),
    ] = Path("embeddings.npz"),
    windows: Annotated[
        bool, typer.Option("--windows", help="One vector per window, with its start in seconds.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Embed audio: one vector per file, the mean over its windows of about one second."""
    from mscol_cli.embed.workflow import EmbedRequest, run

    request = EmbedRequest(
        inputs=tuple(inputs),
        model=model,
        encoder=encoder,
        output=output,
        windows=windows,
        device=device,
    )
    with TerminalProgress() as progress:
        result = run(request, progress)
    line = (
        f"{result.output}: {result.clips} clips, {result.windows} windows,"
        f" {result.dim} dimensions, by {result.model}"
    )
    print_result(result, json, [line])
    finish(result.failures)
