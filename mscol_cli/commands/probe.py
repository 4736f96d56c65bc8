"""`mscol probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mscol_cli.commands.shared import (
    Device,
    DryRun,
    Json,
    ModelOption,
    Opt,
    RecipeOption,
    UntrainedEncoder,
    finish,
)
from mscol_cli.commands.terminal import TerminalProgress, print_json, print_lines


def probe(
    task: Annotated[str, typer.Argument(help="mtat, nsynth, fma, folder or a plugin's.")],
    data: Annotated[
        Path | None, typer.Option(help="The data set. [default: data/TASK]", metavar="DIR")
    ] = None,
    model: ModelOption = None,
    encoder: UntrainedEncoder = None,
    recipe: RecipeOption = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Classifiers trained, each from another seed. [default: 5]"),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            help="How classifiers are trained; repeat it for more. --dry-run prints all keys.",
            metavar="KEY=VALUE",
        ),
    ] = None,
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
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Score a frozen encoder: a shallow classifier trained on train, chosen on validation, tested
    once, with a 95 % interval over test clips."""
    from mscol_cli.reports.tables import summary_markdown
    from mscol_cli.workflows import probe as workflow

    request = workflow.ProbeRequest(
        task=task,
        data=data,
        model=model,
        encoder=encoder,
        seeds=seeds,
        output=output,
        device=device,
        options=tuple(opt or ()),
        protocol=tuple(protocol or ()),
        recipe=recipe,
    )
    if dry_run:
        print_lines(workflow.dry_run(request).rstrip())
        return
    with TerminalProgress() as progress:
        result = workflow.run(request, progress)
    if json:
        print_json(result)
    else:
        print_lines(summary_markdown(result).rstrip(), "", f"written to {result.json_path.parent}")
    finish(result.failures)
