"""`mscol probe`."""

from __future__ import annotations

from mscol_cli.commands.options import OUTPUT, PROCESSES, with_request
from mscol_cli.commands.pages import print_page
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import DryRun, Json, finish, print_configurations
from mscol_cli.commands.terminal import print_json, print_lines
from mscol_cli.probe.request import TableRequest


@with_request(
    {
        "Data and models": ("data", "models", "encoder"),
        "Classifiers": ("recipe", "seeds", "protocol", "classifier", "finetune", "options"),
        "Additional scores": (
            *("label_fractions", "attribute", "stems"),
            *("noise", "gain", "pitch", "mp3"),
        ),
        OUTPUT: ("save", "reuse", "output", "dry_run", "json"),
        PROCESSES: ("device",),
    }
)
def probe(request: TableRequest, dry_run: DryRun = False, json: Json = False) -> None:
    """Score a frozen encoder with shallow classifiers. They are trained on the training split,
    selected on validation and tested once. Scores have 95 % intervals over test clips, or over
    their artists or instruments. Several tasks and models make one table, with models compared on
    the same test clips."""
    if dry_run:
        _dry_run(request, json)
    elif len(set(request.tasks)) == 1 and len(set(request.models)) <= 1 and not request.reuse:
        _probe(request, json)
    else:
        _probe_many(request, json)


def _dry_run(request: TableRequest, json: bool) -> None:
    from mscol_cli.probe.many import one_per_task
    from mscol_cli.probe.workflow import dry_run

    print_configurations([dry_run(single) for single in one_per_task(request)], json)


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
