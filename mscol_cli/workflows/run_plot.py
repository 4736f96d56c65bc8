"""`runs plot`: the curves of runs in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.errors import UsageError
from mscol_cli.workflows.run_reading import open_runs
from mscol_cli.workflows.runs import names_of


@dataclass(frozen=True)
class PlotRequest:
    """What to draw.

    Attributes:
        runs: Names or folders.
        output: A PNG, PDF or SVG file.
        x: What runs along: `steps`, `hours` or `pairs`.
        metrics: Names as in metrics.jsonl; none for the usual ones.
    """

    runs: Sequence[str]
    output: Path
    x: str = "steps"
    metrics: Sequence[str] = ()


@dataclass(frozen=True)
class PlotResult:
    """What was drawn.

    Attributes:
        output: The picture.
        runs: Names in its legend.
        metrics: A panel each.
    """

    output: Path
    runs: Sequence[str]
    metrics: Sequence[str]


def run(request: PlotRequest) -> PlotResult:
    """Draw runs over each other.

    Raises:
        UsageError: A metric that no run has, an unknown format, runs without any curve.
        MissingDataError: There is no run of one of the names.
    """
    from mscol_cli.reports.curves import draw_panels
    from mscol_cli.reports.pictures import FORMATS, save_picture
    from mscol_cli.reports.run_curves import (
        AXES,
        RunCurves,
        metric_names,
        run_panels,
        usual_metrics,
    )

    if request.output.suffix.lower().removeprefix(".") not in FORMATS:
        endings = ", ".join(f".{kind}" for kind in FORMATS)
        raise UsageError(f"{request.output} has an unknown format: end it in {endings}.")
    if request.x not in AXES:
        raise UsageError(f"--x takes {', '.join(AXES)}, not '{request.x}'.")
    found = open_runs(request.runs)
    labels = names_of(found)
    curves = [
        RunCurves(label, one.lines, one.batch_size, one.online_metric)
        for label, one in zip(labels, found, strict=True)
    ]
    known = metric_names(curves)
    if not known:
        raise UsageError(f"nothing was logged yet in {', '.join(labels)}: wait for a line.")
    for name in request.metrics:
        if name not in known:
            raise UsageError(f"no run has metric '{name}'. Known: {', '.join(known)}.")
    metrics = list(request.metrics) or usual_metrics(curves)
    panels = run_panels(curves, metrics, request.x)
    if not any(panel.curves for panel in panels):
        raise UsageError(f"no {request.x} were logged in {', '.join(labels)}: leave out --x.")
    save_picture(draw_panels(panels), request.output)
    return PlotResult(request.output, labels, metrics)
