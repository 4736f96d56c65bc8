"""`mscol pretrain`, and the hidden command its processes run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mscol_cli.commands.panels import OUTPUT, PROCESSES, in_panels
from mscol_cli.commands.shared import DryRun, Json, Opt, RecipeOption
from mscol_cli.commands.terminal import TerminalProgress, print_json, print_lines
from mscol_cli.errors import Interrupted
from mscol_cli.system.launcher import is_first
from mscol_cli.system.units import format_duration

if TYPE_CHECKING:
    from mscol_cli.pretrain.finished import PretrainResult


@in_panels(
    {
        "Data": ("train_split",),
        "Objective and encoder": ("objective", "recipe", "encoder", "stems", "opt", "encoder_opt"),
        "Training": ("steps", "batch_size", "lr", "schedule", "seed"),
        "Checkpoints and evaluation": ("save_every", "keep_last", "probe_every", "resume"),
        PROCESSES: ("gpus", "processes", "device", "store_on", "precision", "compile_"),
        OUTPUT: ("output", "dry_run", "json"),
    }
)
def pretrain(
    store: Annotated[
        Path | None,
        typer.Argument(help="A sealed store. [default: the newest under data/]", metavar="STORE"),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="msa, cola, mws, random-mask, clmr or a plugin's; msa+mws trains msa under what"
            " mws does to crops.",
            metavar="NAME",
        ),
    ] = None,
    recipe: RecipeOption = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="The network. [default: efficientnet_b0]", metavar="NAME"),
    ] = None,
    stems: Annotated[
        str | None,
        typer.Option(
            help="Sources that msa associates. [default: all in the store]", metavar="A,B,..."
        ),
    ] = None,
    train_split: Annotated[
        str | None,
        typer.Option(
            help="Only the clips that this probe task trains on (data in data/TASK, or TASK=DIR),"
            " so that no test clip is heard. [default: all tracks]",
            metavar="TASK|all",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates in all. [default: 10000]")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Pairs per update, over all processes. [default: 128]")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Adam's rate. [default: 0.001]")] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="The rate is 'halved' for the second half, or 'constant'. [default: halved]",
            metavar="NAME",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and crops. [default: 0]")] = None,
    save_every: Annotated[
        int | None, typer.Option(help="Updates between checkpoints. [default: 1000]")
    ] = None,
    keep_last: Annotated[
        int | None,
        typer.Option(help="Checkpoints kept, besides the best. [default: 2]", metavar="K"),
    ] = None,
    probe_every: Annotated[
        tuple[int, str] | None,
        typer.Option(
            help="Score the encoder every N updates by nearest neighbours on a few clips of a probe"
            " task (data in data/TASK, or TASK=DIR), none of them a test clip.",
            metavar="N TASK",
        ),
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="Train on N GPUs of this machine.")] = None,
    processes: Annotated[
        int | None, typer.Option(help="Train in N processes; with --device cpu over gloo.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda or cuda:N. [default: auto]", metavar="NAME"),
    ] = None,
    store_on: Annotated[
        str | None,
        typer.Option(
            help="Hold the store in the memory of the device, or read it on the host."
            " [default: auto, on a GPU where it fits]",
            metavar="auto|device|host",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="Of the encoder. [default: auto, bf16 on a GPU that has it, else fp32]",
            metavar="auto|fp32|bf16",
        ),
    ] = None,
    compile_: Annotated[
        str | None,
        typer.Option(
            "--compile",
            help="Compile the encoder. [default: auto, on for a GPU, off for a CPU]",
            metavar="auto|on|off",
        ),
    ] = None,
    opt: Opt = None,
    encoder_opt: Annotated[
        list[str] | None,
        typer.Option("--encoder-opt", help="Option of the encoder.", metavar="KEY=VALUE"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Run folder. [default: runs/OBJECTIVE-ENCODER-N]",
            metavar="RUN",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run at -o, or runs/latest.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Pre-train an encoder on a store with a contrastive objective.

    Checkpoints, metrics.jsonl and TensorBoard curves go to the run folder, and runs/latest points
    at it. Ctrl-C saves and exits with code 130; --resume goes on from there.
    """
    given = {
        "objective": objective,
        "store": store,
        "encoder": encoder,
        "recipe": recipe,
        "train_split": train_split,
        "objective_options": tuple(opt or ()) + ((f"stems={stems}",) if stems is not None else ()),
        "encoder_options": tuple(encoder_opt or ()),
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": lr,
        "schedule": schedule,
        "seed": seed,
        "save_every": save_every,
        "keep_last": keep_last,
        "probe_every": probe_every,
        "gpus": gpus,
        "processes": processes,
        "device": device,
        "store_on": store_on,
        "precision": precision,
        "compile": compile_,
        "run": output,
        "resume": resume,
    }
    if dry_run:
        _dry_run(given)
        return
    with TerminalProgress() as progress:
        result = _finished(given, progress) or _train(given, progress)
    if result is None or not is_first():
        return
    if json:
        print_json(result)
        return
    loss = "" if result.loss is None else f", loss {result.loss:.4f}"
    accuracy = "" if result.accuracy is None else f", accuracy {result.accuracy:.1%}"
    print_lines(
        f"{result.run}: {result.steps} steps{loss}{accuracy}, {format_duration(result.seconds)}"
    )


def _dry_run(given: Mapping[str, Any]) -> None:
    from mscol_cli.pretrain.prepare import dry_run
    from mscol_cli.pretrain.settings import PretrainRequest

    with TerminalProgress() as progress:
        print_lines(dry_run(PretrainRequest(**given), progress).rstrip())


def _finished(given: Mapping[str, Any], progress: TerminalProgress) -> PretrainResult | None:
    """The result of a run that was finished before: known without torch, which takes long."""
    from mscol_cli.pretrain.finished import finished_as_given, finished_note

    result = finished_as_given(given)
    if result is not None and is_first():
        progress.note(finished_note(result))
    return result


def _train(given: Mapping[str, Any], progress: TerminalProgress) -> PretrainResult | None:
    from mscol_cli.pretrain.settings import PretrainRequest
    from mscol_cli.pretrain.workflow import run

    return run(PretrainRequest(**given), progress)


def pretrain_worker(run: Path) -> None:
    """Train as one of the processes of a prepared run (started by 'mscol pretrain')."""
    from mscol_cli.pretrain.workflow import work_launched

    with TerminalProgress() as progress:
        try:
            work_launched(run, progress)
        except Interrupted as error:
            # The process that started this one says so, once for all.
            raise SystemExit(error.exit_code) from error
