"""How training went: curves over steps and over hours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mscol_cli.reports.curves import Curve, Panel, draw_panels, picture_png
from mscol_cli.reports.page import Block, Picture, Pictures, Section, Table, Text
from mscol_cli.reports.run_curves import PROBE, TITLES, USUAL
from mscol_cli.workflows.reporting.found import Material
from mscol_cli.workflows.reporting.groups import file_name
from mscol_cli.workflows.reporting.runs import FoundRun

MOST_POINTS = 300
"""Points of one curve; where more were logged, each is the mean of a stretch."""

OVER_TIME = ("loss", "accuracy", PROBE)
"""What is drawn over hours, too."""


def training_section(material: Material) -> Section:
    """Curves of all runs that logged anything, and a table of where they ended."""
    runs = [run for run in material.runs if run.metrics]
    if not runs:
        return Section("Training", ())
    return Section("Training", list(_blocks(runs, material)))


def _blocks(runs: Sequence[FoundRun], material: Material) -> Iterator[Block]:
    yield Table(
        "Where training stands, by the last logged line; throughput is the median over lines",
        ("run", "step of steps", "loss", "accuracy", "hours", "pairs per second", "state"),
        [_row(run) for run in runs],
    )
    yield Pictures(list(_pictures(runs, material)))
    if any(len(run.metrics) > MOST_POINTS for run in runs):
        yield Text(
            "Where many steps were logged, a point is the mean of a stretch, and the shade behind"
            " it reaches from the lowest to the highest value in it."
        )
    if any(not _has(run, "elapsed_s") for run in runs):
        yield Text(
            "Hours of a run that logged no elapsed time are computed from its pairs per second:"
            " pauses and checkpoints are not counted."
        )


def _row(run: FoundRun) -> Sequence[str]:
    last, speeds = run.metrics[-1], _values(run, "pairs_per_second")[1]
    hours = _hours(run)
    return (
        run.title,
        f"{int(last['step']):,} of {run.training.get('steps', 0):,}",
        _last(run, "loss"),
        _last(run, "accuracy"),
        f"{hours[-1]:.3g}" if hours else "-",
        f"{np.median(speeds):,.0f}" if speeds else "-",
        run.state or "-",
    )


def _last(run: FoundRun, name: str) -> str:
    values = _values(run, name)[1]
    return f"{values[-1]:.3f}" if values else "-"


def _pictures(runs: Sequence[FoundRun], material: Material) -> Iterator[Picture]:
    for name in _drawn(runs):
        having = [run for run in runs if _has(run, name)]
        yield _picture(name, "updates", having, material, _steps)
        timed = [run for run in having if _hours(run)]
        if _kind(name) in OVER_TIME and timed:
            short = max(_hours(run)[-1] for run in timed) < 1
            unit, along = ("minutes", _minutes) if short else ("hours", _hours)
            yield _picture(name, unit, timed, material, along)


def _drawn(runs: Sequence[FoundRun]) -> list[str]:
    """What some run logged, online probes first."""
    logged = dict.fromkeys(
        name for run in runs for line in run.metrics for name in line if _has(run, name)
    )
    usual = [name for name in logged if _kind(name) in USUAL]
    return sorted(usual, key=lambda name: (_kind(name) != PROBE, USUAL.index(_kind(name)), name))


def _kind(name: str) -> str:
    return PROBE if name.startswith(PROBE) else name


def _picture(
    name: str,
    unit: str,
    runs: Sequence[FoundRun],
    material: Material,
    along: Callable[[FoundRun], Sequence[float]],
) -> Picture:
    title, y_label = TITLES[_kind(name)]
    if _kind(name) == PROBE:
        title = f"{title}: {name.removeprefix(PROBE)}"
        y_label = runs[0].online_metric
    x_label = unit if unit == "updates" else f"{unit} of training"
    curves = [_curve(run, name, along(run), material.style(run)) for run in runs]
    ends = "; ".join(f"{curve.label} ends at {curve.y[-1]:.3g}" for curve in curves)
    alt = f"{title}, {y_label}, over {x_label}, a line per run: {ends}."
    png = picture_png(draw_panels([Panel(title, x_label, y_label, curves)]))
    return Picture(file_name(name, unit), alt, png)


def _curve(run: FoundRun, name: str, along: Sequence[float], style: int) -> Curve:
    rows, values = _values(run, name)
    x = [along[row] for row in rows]
    if len(x) <= MOST_POINTS:
        return Curve(run.title, x, values, style=style)
    parts = [np.array_split(np.asarray(column), MOST_POINTS) for column in (x, values)]
    return Curve(
        run.title,
        [float(part.mean()) for part in parts[0]],
        [float(part.mean()) for part in parts[1]],
        [float(part.min()) for part in parts[1]],
        [float(part.max()) for part in parts[1]],
        style,
    )


def _has(run: FoundRun, name: str) -> bool:
    return bool(_values(run, name)[0])


def _values(run: FoundRun, name: str) -> tuple[list[int], list[float]]:
    """Rows of the metrics that have a value, and the values."""
    found = [
        (row, float(line[name]))
        for row, line in enumerate(run.metrics)
        if isinstance(line.get(name), (int, float)) and math.isfinite(line[name])
    ]
    return [row for row, _ in found], [value for _, value in found]


def _steps(run: FoundRun) -> list[float]:
    return [line["step"] for line in run.metrics]


def _hours(run: FoundRun) -> list[float]:
    """Hours of training at each line, as logged, or else by pairs per second; empty where neither
    was logged."""
    if _has(run, "elapsed_s"):
        return _filled([line.get("elapsed_s") for line in run.metrics])
    batch = run.training.get("batch_size")
    if not batch or not _has(run, "pairs_per_second"):
        return []
    steps = np.diff([0.0, *_steps(run)])
    speeds = [line.get("pairs_per_second") or math.inf for line in run.metrics]
    return [float(hours) for hours in np.cumsum(steps * batch / np.asarray(speeds)) / 3600]


def _minutes(run: FoundRun) -> list[float]:
    return [60 * hours for hours in _hours(run)]


def _filled(seconds: Sequence[float | None]) -> list[float]:
    """Hours; a line without a time takes that of the line before."""
    hours, now = [], 0.0
    for value in seconds:
        now = now if value is None else value / 3600
        hours.append(now)
    return hours
