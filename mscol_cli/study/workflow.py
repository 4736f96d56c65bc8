"""reproduce: a study's file -> separate, pre-train, probe, report, whatever is not done yet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import PartialFailure
from mscol_cli.probe.tasks import DATA
from mscol_cli.runs.layout import PROBES
from mscol_cli.study.chain import StageResult, failure, run_chain
from mscol_cli.study.file import Study, bundled_studies, read_study, study_text
from mscol_cli.study.plan import (
    PlannedStage,
    check_record,
    make_plan,
    missing_data,
    require_data,
    study_stages,
    write_record,
)
from mscol_cli.study.stages import ComputeOptions, Execute, Stage, StudyPaths
from mscol_cli.system.outcomes import writing

__all__ = ["ReproduceRequest", "ReproduceResult", "bundled_studies", "plan", "run", "study_text"]

STUDIES = Path("studies")


@dataclass(frozen=True)
class ReproduceRequest:
    """Which study.

    Attributes:
        study: Name or file.
        output: Folder of runs, probes and report; None for `studies/NAME`.
        keep_going: After a failed stage, do what does not need it.
        device: `--device` of every stage; None for their defaults.
        gpus: `--gpus` of separation and training.
    """

    study: str
    output: Path | None = None
    keep_going: bool = False
    device: str | None = None
    gpus: int | None = None


@dataclass(frozen=True)
class ReproduceResult:
    """What became of a study.

    Attributes:
        study: Its name.
        folder: Where its runs, probes and report are.
        report: The page.
        stages: What became of each, in order.
        seconds: Of this invocation.
    """

    study: str
    folder: Path
    report: Path
    stages: Sequence[StageResult]
    seconds: float

    def raise_if_incomplete(self) -> None:
        """Raise the error of the first stage that failed, or PartialFailure when inputs were
        skipped."""
        failed = [stage for stage in self.stages if stage.outcome == "failed"]
        if failed:
            left = sum(stage.outcome == "left out" for stage in self.stages)
            others = f" (stages that failed: {len(failed)}, left out: {left})"
            raise failure(f"stage {failed[0].name}{others}", failed[0])
        skipped = [stage.name for stage in self.stages if stage.outcome == "skipped inputs"]
        if skipped:
            raise PartialFailure(f"finished, but {', '.join(skipped)} skipped inputs, named above.")


def plan(request: ReproduceRequest, progress: Progress) -> list[PlannedStage]:
    """What is done of a study and what is to do; data that is missing is said.

    Raises:
        UsageError: No such study, or a folder that holds something made otherwise.
        MissingDataError: No such file.
    """
    study = read_study(request.study)
    stages, planned = _prepared(study, request)
    for line in missing_data(stages, planned):
        progress.warn(f"missing: {line}")
    return planned


def run(request: ReproduceRequest, progress: Progress, execute: Execute) -> ReproduceResult:
    """Do what is not done of a study.

    Args:
        request: Which one.
        progress: Who watches.
        execute: Runs a command line (without `mscol`) and returns its exit code.

    Raises:
        UsageError: No such study, or a folder that holds something made otherwise.
        MissingDataError: Data or weights that have to be fetched first; nothing was started.
        Interrupted: Stopped by Ctrl-C; the same line goes on.
        MscolError: A stage failed, with its exit code.
    """
    begun = time.monotonic()
    study = read_study(request.study)
    folder = _folder(study, request)
    stages, planned = _prepared(study, request)
    require_data(stages, planned)
    with writing(folder):
        write_record(folder, study)
    results = run_chain(stages, planned, request.keep_going, progress, execute)
    seconds = round(time.monotonic() - begun, 2)
    return ReproduceResult(study.name, folder, folder / "report/report.html", results, seconds)


def _folder(study: Study, request: ReproduceRequest) -> Path:
    return request.output or STUDIES / study.name


def _prepared(study: Study, request: ReproduceRequest) -> tuple[list[Stage], list[PlannedStage]]:
    folder = _folder(study, request)
    data = DATA if study.songs is None else folder / "data"
    places = StudyPaths(data, folder, folder / PROBES, folder / "report")
    stages = study_stages(study, places, ComputeOptions(request.device, request.gpus))
    check_record(folder, study, _is_begun(folder))
    return stages, make_plan(stages)


def _is_begun(folder: Path) -> bool:
    """Whether the folder holds a run or music; the record alone may be written over."""
    return any(folder.glob("*/run.json")) or (folder / "data").is_dir()
