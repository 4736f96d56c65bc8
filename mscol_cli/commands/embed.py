"""`mscol embed`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.panels import OUTPUT, PROCESSES, in_panels
from mscol_cli.commands.shared import (
    Device,
    Json,
    ModelOption,
    Source,
    UntrainedEncoder,
    finish,
    format_done_before,
)
from mscol_cli.commands.terminal import TerminalProgress, print_result
from mscol_cli.errors import UsageError
from mscol_cli.system.units import counted

if TYPE_CHECKING:
    from mscol_cli.embed.workflow import EmbedRequest, EmbedResult


@in_panels(
    {
        "Model and input": ("model", "encoder", "source"),
        "Vectors": ("hop", "pool", "windows", "precision"),
        OUTPUT: ("output", "json"),
        PROCESSES: ("jobs", "gpus", "device"),
    }
)
def embed(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Audio files, folders searched recursively, or sealed stores.",
            metavar="INPUT",
            readable=False,
        ),
    ],
    model: ModelOption = None,
    encoder: UntrainedEncoder = None,
    source: Source = "mixture",
    hop: Annotated[
        float | None,
        typer.Option(
            help="Seconds from one window to the next. [default: that of the encoder]",
            metavar="SECONDS",
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            help="Vectors of a file: mean or max over its windows, or none for one vector per"
            " window. [default: mean]",
            metavar="mean|max|none",
        ),
    ] = None,
    windows: Annotated[bool, typer.Option("--windows", help="The same as --pool none.")] = False,
    precision: Annotated[str, typer.Option(help="float32 or float16.", metavar="NAME")] = "float32",
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder of vectors to make or update, or a file: .npz, .csv, .safetensors or"
            " .parquet.",
            metavar="PATH",
        ),
    ] = Path("embeddings.npz"),
    jobs: Annotated[int | None, typer.Option(help="Embed in N processes on this machine.")] = None,
    gpus: Annotated[
        int | None, typer.Option(help="Embed in N processes, each with one GPU.")
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Embed audio: one vector per file, the mean over its windows of about one second.

    A folder of vectors is updated: only new and changed files are embedded. The same command
    resumes an interrupted run; a file that cannot be used is reported and skipped (exit code 3).
    """
    from mscol_cli.embed.workflow import EmbedRequest, run

    if windows and pool not in (None, "none"):
        raise UsageError(f"--windows is --pool none, and contradicts --pool {pool}: give one.")
    request = EmbedRequest(
        inputs=tuple(inputs),
        model=model,
        encoder=encoder,
        output=output,
        pool="none" if windows else pool or "mean",
        hop=hop,
        precision=precision,
        source=source,
        jobs=jobs,
        gpus=gpus,
        device=device,
    )
    with TerminalProgress() as progress:
        result = run(request, progress, _command_line)
    print_result(result, json, _format_result(result))
    finish(result.failures)


def _format_result(result: EmbedResult) -> Iterator[str]:
    if not result.finished:
        yield f"{result.output}: all files are done, the first process prints the result"
        return
    changes = [format_done_before(result.done_before)] if result.done_before else []
    changes += [f"{result.removed:,} removed"] if result.removed else []
    note = f" ({', '.join(changes)})" if changes else ""
    yield (
        f"{result.output}: {counted(result.clips, 'clip')}{note},"
        f" {counted(result.windows, 'window')}, {result.dim} dimensions, by {result.model}"
    )


def _command_line(request: EmbedRequest) -> list[str]:
    """Command line of one of several workers."""
    named = {
        "--model": request.model,
        "--encoder": request.encoder,
        "--source": request.source,
        "--hop": request.hop,
        "--pool": request.pool,
        "--precision": request.precision,
        "--output": request.output,
        "--device": request.device,
    }
    options = [str(part) for pair in named.items() if pair[1] is not None for part in pair]
    return ["embed", *options, "--", *map(str, request.inputs)]
