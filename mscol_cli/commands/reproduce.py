"""`mscol reproduce`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json, print_configurations
from mscol_cli.commands.terminal import print_result, print_titles, redirect_prints
from mscol_cli.errors import UsageError
from mscol_cli.study.request import ReproduceRequest
from mscol_cli.system.units import format_duration

if TYPE_CHECKING:
    from mscol_cli.study.plan import PlannedStage
    from mscol_cli.study.stages import Execute
    from mscol_cli.study.workflow import ReproduceResult


@with_request()
def reproduce(
    context: typer.Context,
    request: ReproduceRequest,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the state and the command of each stage."),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the file of the study, to copy and edit.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a study: separate, pre-train, probe, report. The same command resumes it.

    Finished stages are skipped: a sealed store, a run with its last checkpoint, a probe of the same
    weights with the same settings.
    """
    from mscol_cli.study import workflow

    if request.study is None:
        if request != ReproduceRequest() or dry_run or show:
            raise UsageError("missing STUDY; 'mscol reproduce' lists all studies.")
        print_titles(workflow.bundled_studies(), json)
        return
    if show:
        print_configurations([workflow.study_text(request.study)], json)
        return
    if dry_run:
        _plan(request, json)
    else:
        _run(request, json, context.obj)


def _plan(request: ReproduceRequest, json: bool) -> None:
    from mscol_cli.study.workflow import plan

    with TerminalProgress() as progress:
        stages = plan(request, progress)
    print_result(stages, json, _format_plan(stages))


def _format_plan(stages: Sequence[PlannedStage]) -> Iterator[str]:
    for number, stage in enumerate(stages, start=1):
        note = f" ({stage.note})" if stage.note else ""
        yield f"{number:3} {stage.state:10} {stage.name}{note}"
        if stage.command:
            yield f"      {stage.command}"


def _run(request: ReproduceRequest, json: bool, execute: Execute) -> None:
    from mscol_cli.study.workflow import run

    with TerminalProgress() as progress, redirect_prints(json):
        result = run(request, progress, execute)
    print_result(result, json, _format_result(result))
    result.raise_if_incomplete()


def _format_result(result: ReproduceResult) -> Iterator[str]:
    yield ""
    for stage in result.stages:
        took = f" in {format_duration(stage.seconds)}" if stage.seconds else ""
        yield f"{stage.outcome:14} {stage.name}{took}"
    if result.report.exists():
        yield f"report: {result.report}"
