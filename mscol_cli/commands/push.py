"""`mscol push`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_result
from mscol_cli.errors import UsageError
from mscol_cli.push.request import PushRequest


@with_request()
def push(
    request: PushRequest,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write the files to the folder -o, and upload nothing."),
    ] = False,
    json: Json = False,
) -> None:
    """Upload a model to the Hugging Face Hub, with a model card generated from the run.

    Writes config.json, encoder.safetensors and README.md. The access token is HF_TOKEN, or that of
    'hf auth login'. Then, anywhere: mscol embed song.mp3 --model hf:ORG/NAME
    """
    from mscol_cli.push.workflow import check_request, run

    if dry_run != (request.output is not None):
        raise UsageError("--dry-run and -o FOLDER belong together: give both or neither.")
    if request.licence is None and sys.stdin.isatty() and not json:
        text = "Licence of the weights, such as mit, cc-by-4.0 or other"
        request = replace(request, licence=typer.prompt(text, err=True))
    check_request(request)
    with TerminalProgress() as progress:
        result = run(request, progress)
    target = result.folder or result.repository
    line = f"{target}: {result.model}, probe results on the card: {result.probes}"
    print_result(result, json, [line])
