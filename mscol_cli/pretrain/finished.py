"""Recognise a finished run on `--resume` without torch, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from mscol_cli.runs.verify import why_unreadable
from mscol_cli.system.units import counted

UNCHECKED = ("store", "recipe", "stems", "objective_options", "encoder_options")
"""Fields of a request that cannot be compared to run.json without plugins and the store."""


@dataclass(frozen=True)
class PretrainResult:
    """Result of a run.

    Attributes:
        run: The run folder.
        checkpoint: The newest checkpoint.
        steps: Number of training steps.
        loss: Mean loss of the last logged interval; None if nothing was logged.
        accuracy: Share of anchors that find their positive, over the same interval, if the
            objective reports it.
        seconds: Wall time of this invocation.
    """

    run: Path
    checkpoint: Path
    steps: int
    loss: float | None
    accuracy: float | None
    seconds: float


def run_to_resume(run: Path | None) -> Path:
    """The run to resume: `run`, or `runs/latest`. Raises MissingDataError."""
    if run is not None:
        return follow_latest(run)
    return latest_run(RUNS, "name the run to resume with -o RUN.")


def finished_as_given(request: PretrainRequest) -> PretrainResult | None:
    """The result of the run to resume, if it is finished and the request does not change it.

    Returns:
        None if the run is not finished, or if the request may differ from what the run recorded.

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
    """The result of a run with an intact checkpoint of its last step; None for other runs."""
    if record.state.state != FINISHED or record.problems or not record.checkpoints:
        return None
    newest = checkpoint_folders(record.folder)[-1]
    if record.checkpoints[-1] != record.steps or not _is_intact(newest):
        return None
    last = record.lines[-1] if record.lines else {}
    return PretrainResult(
        record.folder, newest, record.steps, last.get("loss"), last.get("accuracy"), 0.0
    )


def finished_note(result: PretrainResult) -> str:
    """The line to print instead of training a finished run."""
    return (
        f"{result.run} is finished after {counted(result.steps, 'update')}. --steps N with a larger"
        " N trains it further."
    )


def recorded_options(info: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run by name, from its run.json."""
    return {
        "objective": info.get("objective", {}).get("name"),
        "encoder": info.get("encoder", {}).get("name"),
        "init": info.get("init", {}).get("reference", ""),
        "train_split": info.get("train_split"),
        **info.get("training", {}),
    }


def _is_as_recorded(options: Mapping[str, Any], info: Mapping[str, Any]) -> bool:
    recorded = recorded_options(info)
    compared = options.keys() & {*named("result", "length")}
    return all(options[name] == recorded.get(name) for name in compared)


def _is_intact(checkpoint: Path) -> bool:
    return not any(why_unreadable(checkpoint / f"{name}.safetensors") for name in WEIGHTS)
