"""Resuming a run that is finished: recognised without torch, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.recipes.options import named
from mscol_cli.runs.layout import (
    RUNS,
    WEIGHTS,
    checkpoint_folders,
    follow_latest,
    is_run,
    latest_run,
)
from mscol_cli.runs.record import RunRecord, read_run_folder
from mscol_cli.runs.state import FINISHED

UNCHECKED = ("store", "recipe", "stems", "objective_options", "encoder_options")
"""What a run records otherwise than it is given, so that comparing needs plugins and the store."""


@dataclass(frozen=True)
class PretrainResult:
    """What a run came to.

    Attributes:
        run: The run folder.
        checkpoint: The newest checkpoint in it.
        steps: Updates made in all.
        loss: Mean over the last logged stretch; None when nothing was logged.
        accuracy: Share of anchors associated rightly, over the same stretch, if the objective
            reports one.
        seconds: Wall time of this invocation.
    """

    run: Path
    checkpoint: Path
    steps: int
    loss: float | None
    accuracy: float | None
    seconds: float


def run_to_resume(run: Path | None) -> Path:
    """The run that `--resume` means: the one named, or `runs/latest`. Raises MissingDataError."""
    if run is not None:
        return follow_latest(run)
    return latest_run(RUNS, "name the run to resume with -o RUN.")


def finished_as_given(request: PretrainRequest) -> PretrainResult | None:
    """The result of the run that is to be resumed, if it is finished and nothing else is asked.

    Returns:
        None where the run is not finished, or where something was given that it has not recorded
        in these words: that takes a closer look.

    Raises:
        MissingDataError: There is no run to resume.
    """
    if not request.resume or any(getattr(request, name) for name in UNCHECKED):
        return None
    if request.run is not None and not is_run(request.run):
        return None
    record = read_run_folder(run_to_resume(request.run))
    return finished_result(record) if _is_as_recorded(request.options, record.info) else None


def finished_result(record: RunRecord) -> PretrainResult | None:
    """The result of a run whose last update is in a checkpoint that is whole; None for others."""
    if record.state.state != FINISHED or record.problems or not record.checkpoints:
        return None
    newest = checkpoint_folders(record.folder)[-1]
    if record.checkpoints[-1] != record.steps or not _is_whole(newest):
        return None
    last = record.lines[-1] if record.lines else {}
    return PretrainResult(
        record.folder, newest, record.steps, last.get("loss"), last.get("accuracy"), 0.0
    )


def finished_note(result: PretrainResult) -> str:
    """What to print of a finished run instead of training it."""
    return (
        f"{result.run} is finished: all {result.steps:,} updates are made. --steps N with a larger"
        " N trains it further."
    )


def recorded_options(info: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run, by name, as its run.json has them."""
    return {
        "objective": info.get("objective", {}).get("name"),
        "encoder": info.get("encoder", {}).get("name"),
        "train_split": info.get("train_split"),
        **info.get("training", {}),
    }


def _is_as_recorded(given: Mapping[str, Any], info: Mapping[str, Any]) -> bool:
    recorded = recorded_options(info)
    decisive = given.keys() & {*named("result", "length")}
    return all(given[name] == recorded.get(name) for name in decisive)


def _is_whole(checkpoint: Path) -> bool:
    try:
        for name in WEIGHTS:
            # Opening compares the size of the file with what its header says.
            with safe_open(checkpoint / f"{name}.safetensors", framework="numpy"):
                pass
    except (OSError, SafetensorError):
        return False
    return True
