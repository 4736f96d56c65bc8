"""`mscol export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Json, UntrainedEncoder
from mscol_cli.commands.terminal import TerminalProgress, print_result
from mscol_cli.system.units import format_bytes


def export(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model, as for --model of 'mscol embed'. [default: runs/latest]",
            metavar="MODEL",
        ),
    ] = None,
    encoder: UntrainedEncoder = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Output file, .onnx or .pt2. [default: model.onnx or model.pt2]",
            metavar="FILE",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="onnx, or torch for torch.export. [default: that of the suffix of -o, else onnx]",
            metavar="onnx|torch",
        ),
    ] = None,
    pool: Annotated[
        str,
        typer.Option(
            help="mean: one vector per clip. none: one vector per window.", metavar="mean|none"
        ),
    ] = "mean",
    json: Json = False,
) -> None:
    """Export a model for use without mscol: waveforms in, vectors out.

    The exported model contains level normalisation, windows and front end, and is compared with
    torch before it is written. ONNX needs the extra: pip install 'mscol[onnx]'
    """
    from mscol_cli.export.workflow import ExportRequest, run

    with TerminalProgress() as progress:
        result = run(ExportRequest(model, encoder, output, format, pool), progress)
    line = (
        f"{result.output}: {result.encoder}, {result.dim} dimensions, {format_bytes(result.bytes)},"
        f" relative difference from torch at most {result.difference:.1e}"
    )
    print_result(result, json, [line])
