"""`mscol probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import Device, Json, ModelOption, Opt, UntrainedEncoder, finish
from mscol_cli.commands.terminal import TerminalProgress, print_json, print_lines


def probe(
    task: Annotated[str, typer.Argument(help="mtat, nsynth, fma, folder or a plugin's.")],
    data: Annotated[
        Path | None, typer.Option(help="The data set. [default: data/TASK]", metavar="DIR")
    ] = None,
    model: ModelOption = None,
    encoder: UntrainedEncoder = None,
    seeds: Annotated[int, typer.Option(help="Classifiers trained, each from another seed.")] = 5,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where probe.json and probe.md go. [default: RUN/probes/TASK]",
            metavar="DIR",
        ),
    ] = None,
    device: Device = "auto",
    opt: Opt = None,
    json: Json = False,
) -> None:
    """Score a frozen encoder: a shallow classifier trained on train, chosen on validation, tested
    once, with a 95 % interval over test clips."""
    from mscol_cli.reports.tables import summary_markdown
    from mscol_cli.workflows.probe import ProbeRequest, run

    request = ProbeRequest(
        task=task,
        data=data,
        model=model,
        encoder=encoder,
        seeds=seeds,
        output=output,
        device=device,
        options=tuple(opt or ()),
    )
    with TerminalProgress() as progress:
        result = run(request, progress)
    if json:
        print_json(result)
    else:
        print_lines(summary_markdown(result).rstrip(), "", f"written to {result.json_path.parent}")
    finish(result.failures)
