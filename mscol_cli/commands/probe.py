"""`mscol probe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.pages import print_page
from mscol_cli.commands.panels import OUTPUT, PROCESSES, in_panels
from mscol_cli.commands.shared import (
    Device,
    DryRun,
    Json,
    Opt,
    RecipeOption,
    UntrainedEncoder,
    finish,
    numbers,
)
from mscol_cli.commands.terminal import TerminalProgress, print_json, print_lines
from mscol_cli.engine.references import DEFAULT_MODEL, REFERENCES

if TYPE_CHECKING:
    from mscol_cli.probe.many import TableRequest


@in_panels(
    {
        "Data and models": ("data", "model", "encoder"),
        "Classifiers": ("recipe", "seeds", "protocol", "classifier", "finetune", "opt"),
        "Additional scores": (
            "label_fraction",
            "attribute",
            "stems",
            "noise",
            "gain",
            "pitch",
            "mp3",
        ),
        OUTPUT: ("output", "save", "reuse", "dry_run", "json"),
        PROCESSES: ("device",),
    }
)
def probe(
    task: Annotated[
        list[str],
        typer.Argument(help="One or more tasks: mtat, nsynth, fma, folder or one of a plugin."),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(help="Folder of the data set. [default: data/TASK]", metavar="DIR|TASK=DIR"),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help=f"{REFERENCES[0].upper()}{REFERENCES[1:]}; repeat to compare models."
            f" [default: {DEFAULT_MODEL}]",
            metavar="MODEL",
        ),
    ] = None,
    encoder: UntrainedEncoder = None,
    recipe: RecipeOption = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Number of classifiers, each with another seed. [default: 5]"),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            help="Setting of the training of classifiers; repeat for more. --dry-run prints all"
            " keys.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            help="Classifier: published, or linear or mlp, trained on all windows at once with"
            " weight decay chosen on validation. [default: published]",
            metavar="KIND",
        ),
    ] = None,
    finetune: Annotated[
        bool,
        typer.Option(
            "--finetune", help="Also train the encoder; with one seed unless --seeds is given."
        ),
    ] = False,
    label_fraction: Annotated[
        str | None,
        typer.Option(
            help="Also train on these fractions of the training clips, for scores by number of"
            " labels.",
            metavar="F,F,...",
        ),
    ] = None,
    attribute: Annotated[
        bool,
        typer.Option("--attribute", help="Also score each source of the test clips on its own."),
    ] = False,
    stems: Annotated[
        Path | None,
        typer.Option(
            help="Store with the sources for --attribute. [default: DIR.store for the data set in"
            " DIR]",
            metavar="STORE",
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            help="Also test with white noise at these signal-to-noise ratios.", metavar="DB,..."
        ),
    ] = None,
    gain: Annotated[
        str | None,
        typer.Option(help="Also test amplified clips, clipped at 16 bits.", metavar="DB,..."),
    ] = None,
    pitch: Annotated[
        str | None,
        typer.Option(help="Also test pitch-shifted clips.", metavar="SEMITONES,..."),
    ] = None,
    mp3: Annotated[
        str | None, typer.Option(help="Also test clips encoded as MP3.", metavar="KBPS,...")
    ] = None,
    save: Annotated[
        bool,
        typer.Option(
            "--save",
            help="Save the calibrated classifier for 'mscol tag'; with --finetune, also the"
            " encoder.",
        ),
    ] = False,
    reuse: Annotated[
        bool,
        typer.Option(
            "--reuse",
            help="With several tasks or models: reuse existing results of the same model and"
            " settings.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for probe.json and probe.md; for several tasks or models, probes.json and"
            " probes.md. [default: RUN/probes/TASK; for several, probes]",
            metavar="DIR",
        ),
    ] = None,
    device: Device = "auto",
    opt: Opt = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Score a frozen encoder with a shallow classifier: trained on the training split, selected on
    validation, tested once, with a 95 % interval over test clips. Several tasks and models make one
    table, with models compared on the same test clips."""
    from mscol_cli.probe.many import TableRequest
    from mscol_cli.probe.settings import ProbeRequest

    common = ProbeRequest(
        task=task[0],
        encoder=encoder,
        seeds=seeds,
        device=device,
        options=tuple(opt or ()),
        protocol=(
            *(protocol or ()),
            *([f"classifier={classifier}"] if classifier else []),
            *(["finetune=true"] if finetune else []),
        ),
        recipe=recipe,
        label_fractions=numbers("--label-fraction", label_fraction),
        attribute=attribute,
        stems=stems,
        corruptions=_corruptions(noise=noise, gain=gain, pitch=pitch, mp3=mp3),
        save=save,
    )
    request = TableRequest(task, model or (), data or (), common, output, reuse)
    if dry_run:
        _dry_run(request)
    elif len(set(task)) == 1 and len(set(model or ())) <= 1 and not reuse:
        _probe(request, json)
    else:
        _probe_many(request, json)


def _corruptions(**options: str | None) -> tuple[tuple[str, float], ...]:
    return tuple(
        (kind, amount) for kind, text in options.items() for amount in numbers(f"--{kind}", text)
    )


def _dry_run(request: TableRequest) -> None:
    from mscol_cli.probe.many import one_per_task
    from mscol_cli.probe.workflow import dry_run

    for single in one_per_task(request):
        print_lines(dry_run(single).rstrip())


def _probe(request: TableRequest, json: bool) -> None:
    from dataclasses import replace

    from mscol_cli.probe.many import one_per_task
    from mscol_cli.probe.page import result_page
    from mscol_cli.probe.workflow import run

    (single,) = one_per_task(request)
    with TerminalProgress() as progress:
        result = run(replace(single, output=request.output), progress)
    if json:
        print_json({**result.as_json(), **result.paths})
    else:
        print_page(result_page(result))
        print_lines("", f"written to {result.folder}")
    finish(result.failures)


def _probe_many(request: TableRequest, json: bool) -> None:
    from mscol_cli.probe.many import run
    from mscol_cli.probe.table import joint_dict, joint_page

    with TerminalProgress() as progress:
        result = run(request, progress)
    if json:
        print_json(joint_dict(result))
    else:
        print_page(joint_page(result))
        print_lines("", f"written to {result.folder}")
    finish(result.failures)
