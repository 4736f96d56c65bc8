"""Running stages one after another, each when those it needs are done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import Interrupted, MscolError, PartialFailure
from mscol_cli.study.plan import PlannedStage, command_line
from mscol_cli.study.stages import Execute, Stage

Outcome = Literal["done before", "done", "skipped inputs", "failed", "left out", "not needed"]
FINE: tuple[Outcome, ...] = ("done before", "done", "skipped inputs", "not needed")


@dataclass(frozen=True)
class StageResult:
    """What became of a stage.

    Attributes:
        name: Its kind, and what it is about.
        outcome: `done before`, `done`, `skipped inputs` (done, but some inputs failed), `failed`,
            `left out` (for want of a stage it needs), `not needed`.
        code: Exit code of its command; 0 where none was run.
        seconds: Of this invocation.
    """

    name: str
    outcome: Outcome
    code: int = 0
    seconds: float = 0.0


def run_chain(
    stages: Sequence[Stage],
    plan: Sequence[PlannedStage],
    keep_going: bool,
    progress: Progress,
    execute: Execute,
) -> list[StageResult]:
    """Run what is to do.

    Raises:
        Interrupted: A stage was, and can go on.
        MscolError: A stage failed, with its exit code, unless `keep_going`.
    """
    results: dict[str, StageResult] = {}
    for number, (stage, planned) in enumerate(zip(stages, plan, strict=True), start=1):
        place = f"stage {number} of {len(stages)}: {stage.name}"
        result = _settled(stage, planned, results)
        if result is None:
            result = _run(stage, place, progress, execute)
        else:
            progress.note(f"{place}, {result.outcome}")
        results[stage.name] = result
        if result.code == Interrupted.exit_code:
            raise Interrupted(f"stopped in {place}: run the same line again to go on.")
        if result.outcome == "failed" and not keep_going:
            raise failure(place, result)
    return list(results.values())


def failure(place: str, result: StageResult) -> MscolError:
    """A stage's failure, with its exit code."""
    error = MscolError(
        f"{place}, ended with exit code {result.code}, for the reason above: put it right, and run"
        " the same line again."
    )
    error.exit_code = result.code
    return error


def _settled(
    stage: Stage, planned: PlannedStage, results: dict[str, StageResult]
) -> StageResult | None:
    """What became of a stage that is not to be run; None for one that is."""
    if planned.state == "not needed":
        return StageResult(stage.name, "not needed")
    there = [results[name].outcome in FINE for name in stage.needs]
    if there and not (all(there) if stage.needs_all else any(there)):
        return StageResult(stage.name, "left out")
    # Looked at anew: an earlier stage may have changed what this one rests on.
    return StageResult(stage.name, "done before") if stage.status().state == "done" else None


def _run(stage: Stage, place: str, progress: Progress, execute: Execute) -> StageResult:
    begun = time.monotonic()
    line = command_line(stage)
    progress.note(f"\n{place}" + (f"\n$ {line}" if line else ""))
    code = stage.run(progress, execute)
    outcomes: dict[int, Outcome] = {0: "done", PartialFailure.exit_code: "skipped inputs"}
    seconds = round(time.monotonic() - begun, 2)
    return StageResult(stage.name, outcomes.get(code, "failed"), code, seconds)
