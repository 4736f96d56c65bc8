"""Execution of the stages of a study, in order of their dependencies."""

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
    """Result of a stage.

    Attributes:
        name: Name of the stage.
        outcome: `done before`, `done`, `skipped inputs` (done, but some inputs failed), `failed`,
            `left out` (a required stage is missing) or `not needed`.
        code: Exit code of the command; 0 if none was run.
        seconds: Duration of this invocation.
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
    """Run all unfinished stages.

    Raises:
        Interrupted: A stage was interrupted, and can be resumed.
        MscolError: A stage failed, unless `keep_going`; has the exit code of the stage.
    """
    results: dict[str, StageResult] = {}
    for number, (stage, planned) in enumerate(zip(stages, plan, strict=True), start=1):
        label = f"stage {number} of {len(stages)}: {stage.name}"
        result = _settled(stage, planned, results)
        if result is None:
            result = _run(stage, label, progress, execute)
        else:
            progress.note(f"{label}, {result.outcome}")
        results[stage.name] = result
        if result.code == Interrupted.exit_code:
            raise Interrupted(f"stopped in {label}: run the same command again to resume.")
        if result.outcome == "failed" and not keep_going:
            raise failure(label, result)
    return list(results.values())


def failure(label: str, result: StageResult) -> MscolError:
    """Create the error of a failed stage, with its exit code."""
    error = MscolError(
        f"{label} failed with exit code {result.code}: fix the error above, and run the same"
        " command again."
    )
    error.exit_code = result.code
    return error


def _settled(
    stage: Stage, planned: PlannedStage, results: dict[str, StageResult]
) -> StageResult | None:
    """Result of a stage that is not run; None for a stage to run."""
    if planned.state == "not needed":
        return StageResult(stage.name, "not needed")
    ready = [results[name].outcome in FINE for name in stage.needs]
    if ready and not (all(ready) if stage.needs_all else any(ready)):
        return StageResult(stage.name, "left out")
    # The planned state may be outdated: an earlier stage may have changed the inputs of this one.
    return StageResult(stage.name, "done before") if stage.status().state == "done" else None


def _run(stage: Stage, label: str, progress: Progress, execute: Execute) -> StageResult:
    start = time.monotonic()
    line = command_line(stage)
    progress.note(f"\n{label}" + (f"\n$ {line}" if line else ""))
    code = stage.run(progress, execute)
    outcomes: dict[int, Outcome] = {0: "done", PartialFailure.exit_code: "skipped inputs"}
    seconds = round(time.monotonic() - start, 2)
    return StageResult(stage.name, outcomes.get(code, "failed"), code, seconds)
