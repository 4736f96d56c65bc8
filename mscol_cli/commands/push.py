"""`mscol push`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import TerminalProgress, print_result
from mscol_cli.errors import UsageError


def push(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run folder, name of a run in runs/, or checkpoint folder.", metavar="RUN"
        ),
    ],
    repository: Annotated[
        str,
        typer.Argument(help="Model repository on the Hugging Face Hub.", metavar="hf:ORG/NAME"),
    ],
    license: Annotated[
        str | None,
        typer.Option(
            "--license",
            help="Licence of the weights, as the Hub spells it: mit, cc-by-4.0, other, ..."
            " [default: asked for on a terminal]",
            metavar="NAME",
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Create a private repository.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write the files to the folder -o, and upload nothing."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of --dry-run, new or empty.", metavar="FOLDER"),
    ] = None,
    json: Json = False,
) -> None:
    """Upload a model to the Hugging Face Hub, with a model card generated from the run.

    Writes config.json, encoder.safetensors and README.md. The access token is HF_TOKEN, or that of
    'hf auth login'. Then, anywhere: mscol embed song.mp3 --model hf:ORG/NAME
    """
    from mscol_cli.push.workflow import PushRequest, check_request
    from mscol_cli.push.workflow import run as push_model

    if dry_run != (output is not None):
        raise UsageError("--dry-run and -o FOLDER belong together: give both or neither.")
    if license is None and sys.stdin.isatty() and not json:
        license = typer.prompt("Licence of the weights, such as mit, cc-by-4.0 or other", err=True)
    check_request(repository, license)
    request = PushRequest(run, repository, license or "", private, output)
    with TerminalProgress() as progress:
        result = push_model(request, progress)
    target = result.folder or result.repository
    line = f"{target}: {result.model}, probe results on the card: {result.probes}"
    print_result(result, json, [line])
