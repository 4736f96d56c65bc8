"""Section with training curves over updates and over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mscol_cli.contracts.watched import ONLINE_PROBE
from mscol_cli.pages.curves import Panel, draw_panels
from mscol_cli.pages.page import Block, Picture, Pictures, Section, Table, Text
from mscol_cli.pages.pictures import picture
from mscol_cli.report.material import FoundRun, Material, file_name
from mscol_cli.runs.plot import MAX_POINTS, RunCurves, kind_of, run_panels, usual_metrics
from mscol_cli.system.units import format_duration

OVER_TIME = ("loss", "accuracy", ONLINE_PROBE)
"""Metrics that are also drawn over time."""


def training_section(material: Material) -> Section:
    """Create a section with the curves and the last values of all runs with metrics."""
    runs = [(run, _curves(run, material)) for run in material.runs if run.lines]
    return Section("Training", list(_blocks(runs)) if runs else ())


def _curves(run: FoundRun, material: Material) -> RunCurves:
    return RunCurves(run.title, run.lines, run.batch_size, run.online_metric, material.style(run))


def _blocks(runs: Sequence[tuple[FoundRun, RunCurves]]) -> Iterator[Block]:
    yield Table(
        "Training state, from the last logged line; throughput is the median over lines",
        ("run", "step of steps", "loss", "accuracy", "time", "pairs per second", "state"),
        [_row(run, curves) for run, curves in runs],
    )
    drawn = [curves for _, curves in runs]
    yield Pictures(list(_pictures(drawn)))
    if any(len(run.lines) > MAX_POINTS for run in drawn):
        yield Text(
            "Where many steps were logged, a point is the mean of several, and the shaded area"
            " covers their lowest and highest values."
        )
    if any(not run.has("elapsed_s") for run in drawn):
        yield Text(
            "For a run without logged elapsed time, time is computed from pairs per second, without"
            " pauses and checkpoints."
        )


def _row(run: FoundRun, curves: RunCurves) -> Sequence[str]:
    speeds, seconds = curves.values("pairs_per_second"), curves.longest
    return (
        run.title,
        f"{int(run.lines[-1]['step']):,} of {run.steps:,}",
        _last(curves, "loss"),
        _last(curves, "accuracy"),
        "-" if seconds is None else format_duration(seconds),
        f"{np.median(speeds):,.0f}" if speeds else "-",
        f"{run.state.state}: {run.state.reason}".removesuffix(": "),
    )


def _last(run: RunCurves, name: str) -> str:
    values = run.values(name)
    return f"{values[-1]:.3f}" if values else "-"


def _pictures(runs: Sequence[RunCurves]) -> Iterator[Picture]:
    """Yield the pictures, online probes first."""
    for name in sorted(usual_metrics(runs), key=lambda name: kind_of(name) != ONLINE_PROBE):
        for x in ("steps", "hours") if kind_of(name) in OVER_TIME else ("steps",):
            (panel,) = run_panels(runs, [name], x)
            if panel.curves:
                yield _picture(name, panel)


def _picture(name: str, panel: Panel) -> Picture:
    ends = "; ".join(f"{curve.label} ends at {curve.y[-1]:.3g}" for curve in panel.curves)
    alt = f"{panel.title}, {panel.y_label}, over {panel.x_label}, a line per run: {ends}."
    if panel.limits is not None:
        alt += f" {panel.limits.note}."
    unit = panel.x_label.split()[0]
    return picture(file_name(name, unit), alt, draw_panels([panel]))
