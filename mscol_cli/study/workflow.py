"""`reproduce`: the unfinished stages of a study: separate, pre-train, probe, report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import PartialFailure
from mscol_cli.probe.tasks import DATA
from mscol_cli.runs.layout import PROBES, RUN
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
from mscol_cli.study.request import ReproduceRequest
from mscol_cli.study.stages import ComputeOptions, Execute, Stage, StudyPaths
from mscol_cli.system.outcomes import writing

__all__ = ["ReproduceRequest", "ReproduceResult", "bundled_studies", "plan", "run", "study_text"]

STUDIES = Path("studies")


@dataclass(frozen=True)
class ReproduceResult:
    """Result of a study.

    Attributes:
        study: Name of the study.
        folder: Folder of runs, probes and report.
        report: Path of the page.
        stages: Results of the stages, in order.
        seconds: Duration of this invocation.
    """

    study: str
    folder: Path
    report: Path
    stages: Sequence[StageResult]
    seconds: float

    def raise_if_incomplete(self) -> None:
        """Raise the error of the first failed stage, or PartialFailure if inputs were skipped."""
        failed = [stage for stage in self.stages if stage.outcome == "failed"]
        if failed:
            left = sum(stage.outcome == "left out" for stage in self.stages)
            others = f" (stages that failed: {len(failed)}, left out: {left})"
            raise failure(f"stage {failed[0].name}{others}", failed[0])
        skipped = [stage.name for stage in self.stages if stage.outcome == "skipped inputs"]
        if skipped:
            raise PartialFailure(
                f"finished, but skipped inputs in {', '.join(skipped)}: see above."
            )


def plan(request: ReproduceRequest, progress: Progress) -> list[PlannedStage]:
    """Plan the stages of a study, and warn of missing data.

    Raises:
        UsageError: Unknown study, or outputs that were made with other settings.
        MissingDataError: The file of the study does not exist.
    """
    study = read_study(request.study or "")
    stages, planned = _prepared(study, request)
    for line in missing_data(stages, planned):
        progress.warn(f"missing: {line}")
    return planned


def run(request: ReproduceRequest, progress: Progress, execute: Execute) -> ReproduceResult:
    """Run the unfinished stages of a study.

    Args:
        request: The study and its options.
        progress: Receives notes on the stages.
        execute: Runs a command line (without `mscol`) and returns its exit code.

    Raises:
        UsageError: Unknown study, or outputs that were made with other settings.
        MissingDataError: Data or weights are missing; nothing was started.
        Interrupted: Stopped by Ctrl-C; the same command resumes.
        MscolError: A stage failed; has the exit code of the stage.
    """
    start = time.monotonic()
    study = read_study(request.study or "")
    folder = _folder(study, request)
    stages, planned = _prepared(study, request)
    require_data(stages, planned)
    with writing(folder):
        write_record(folder, study)
    results = run_chain(stages, planned, request.keep_going, progress, execute)
    seconds = round(time.monotonic() - start, 2)
    return ReproduceResult(study.name, folder, folder / "report/report.html", results, seconds)


def _folder(study: Study, request: ReproduceRequest) -> Path:
    return request.output or STUDIES / study.name


def _prepared(study: Study, request: ReproduceRequest) -> tuple[list[Stage], list[PlannedStage]]:
    folder = _folder(study, request)
    data = DATA if study.songs is None else folder / "data"
    paths = StudyPaths(data, folder, folder / PROBES, folder / "report")
    stages = study_stages(study, paths, ComputeOptions(request.device, request.gpus))
    check_record(folder, study, stages, _is_begun(folder))
    return stages, make_plan(stages)


def _is_begun(folder: Path) -> bool:
    """Whether the folder has a run or music; a record alone may be overwritten."""
    return any(folder.glob(f"*/{RUN}")) or (folder / "data").is_dir()
