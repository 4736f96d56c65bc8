"""`mscol pretrain`, and the hidden command of its processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mscol_cli.commands.options import OUTPUT, PROCESSES, with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import DryRun, Json, print_configurations
from mscol_cli.commands.terminal import print_result
from mscol_cli.errors import Interrupted
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.recipes.options import PRETRAIN
from mscol_cli.system.launcher import is_first
from mscol_cli.system.units import counted, format_duration

if TYPE_CHECKING:
    from mscol_cli.pretrain.finished import PretrainResult


@with_request(
    {
        "Objective and encoder": (
            *("objective", "recipe", "encoder", "init", "stems"),
            *("objective_options", "encoder_options"),
        ),
        "Data": ("train_split",),
        "Training": (...,),
        "Checkpoints and evaluation": (..., "probe_every", "resume"),
        PROCESSES: ("gpus", "processes", ...),
        OUTPUT: ("run", "dry_run", "json"),
    },
    PRETRAIN,
    {
        "result": "Training",
        "length": "Training",
        "saving": "Checkpoints and evaluation",
        "where": PROCESSES,
    },
)
def pretrain(request: PretrainRequest, dry_run: DryRun = False, json: Json = False) -> None:
    """Pre-train an encoder on a store with a contrastive objective.

    Checkpoints, metrics.jsonl and TensorBoard curves are written to the run folder, and runs/latest
    points to it. Ctrl-C saves and exits with code 130; --resume continues from there.
    """
    if dry_run:
        _dry_run(request, json)
        return
    with TerminalProgress() as progress:
        result = _finished(request, progress) or _train(request, progress)
    if not is_first():
        return
    loss = "" if result.loss is None else f", loss {result.loss:.4f}"
    accuracy = "" if result.accuracy is None else f", accuracy {result.accuracy:.1%}"
    took = format_duration(result.seconds)
    steps = counted(result.steps, "step")
    print_result(result, json, [f"{result.run}: {steps}{loss}{accuracy}, {took}"])


def _dry_run(request: PretrainRequest, json: bool) -> None:
    from mscol_cli.pretrain.prepare import dry_run

    with TerminalProgress() as progress:
        print_configurations([dry_run(request, progress)], json)


def _finished(request: PretrainRequest, progress: TerminalProgress) -> PretrainResult | None:
    """The result of a run that is already finished, without the slow import of torch."""
    from mscol_cli.pretrain.finished import finished_as_given, finished_note

    result = finished_as_given(request)
    if result is not None and is_first():
        progress.note(finished_note(result))
    return result


def _train(request: PretrainRequest, progress: TerminalProgress) -> PretrainResult:
    from mscol_cli.pretrain.workflow import run

    return run(request, progress)


def pretrain_worker(run: Path) -> None:
    """Train as one process of a prepared run (started by 'mscol pretrain')."""
    from mscol_cli.pretrain.workflow import work_launched

    with TerminalProgress() as progress:
        try:
            work_launched(run, progress)
        except Interrupted as error:
            # The process that started this one prints the message, once for all processes.
            raise SystemExit(error.exit_code) from error
