"""`mscol demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mscol_cli.commands.options import with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_json, print_lines, print_table, redirect_prints
from mscol_cli.study.request import DemoRequest
from mscol_cli.system.units import format_duration

if TYPE_CHECKING:
    from mscol_cli.study.demo import DemoResult, DemoScore


@with_request()
def demo(context: typer.Context, request: DemoRequest, json: Json = False) -> None:
    """Run all stages on synthesised music: no download, no GPU, a few minutes.

    Synthesises a small collection, runs separate, pretrain, embed and probe on it, prints each
    command line, and compares the pre-trained encoder with the untrained one, statistics of the
    log-mel, and the bundled encoder.
    """
    from mscol_cli.study.demo import run

    with TerminalProgress() as progress, redirect_prints(json):
        result = run(request, progress, context.obj)
    if json:
        print_json(result)
    else:
        _print_table(result)


def _print_table(result: DemoResult) -> None:
    has_mini = any(score.mini for score in result.scores)
    models = ("pre-trained", "untrained", "logmel", *(["mini"] if has_mini else []))
    rows = [
        (
            *(score.task, score.metric, _size(score)),
            *map(_cell, filter(None, _scores(score))),
        )
        for score in result.scores
    ]
    print_lines("")
    print_table(("probe", "metric", "tested on", *models), rows)
    print_lines(
        "In brackets: 95 % interval over test clips or, where named, the groups they come from. It"
        " does not include the variation between pre-training seeds, which can reverse the order."
        " Differences well inside the interval are not significant: this was a minute of training"
        " on less than an hour of music.",
        f"{format_duration(result.seconds)}. Output in {result.folder}: the music in data/, the"
        " store data/mtat.store, the run runs/demo (with TensorBoard curves), embeddings.npz,"
        " reports in runs/demo/probes, probes/untrained, probes/logmel"
        f"{' and probes/mini' if has_mini else ''}.",
    )


def _scores(score: DemoScore) -> tuple[tuple[float, float, float] | None, ...]:
    return score.pretrained, score.untrained, score.logmel, score.mini


def _size(score: DemoScore) -> str:
    from mscol_cli.probe.groups import describe_size

    return describe_size(score.test_clips, "clips", score.grouped_by, score.groups)


def _cell(score: tuple[float, float, float]) -> str:
    value, low, high = score
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
