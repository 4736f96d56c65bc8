"""`mscol runs plot`: training curves of several runs in one figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mscol_cli.contracts.watched import BY_SOURCE, NOT_DRAWN, ONLINE_PROBE, WATCHED, Watched
from mscol_cli.errors import UsageError
from mscol_cli.pages.curves import Curve, Panel, draw_panels
from mscol_cli.pages.pictures import FORMATS, save_picture
from mscol_cli.runs.listing import names_of
from mscol_cli.runs.record import open_runs
from mscol_cli.runs.request import PlotRequest

AXES = {"steps": "updates", "hours": "hours of training", "pairs": "pairs seen"}
SHORTER = ((120, 1, "seconds of training"), (3600, 60, "minutes of training"))
"""Units of shorter runs: upper limit in seconds, seconds per unit and label of the x-axis."""
MAX_POINTS = 300
"""Maximum number of points of a curve. A longer curve is averaged to reduce noise."""
ORDER = tuple(WATCHED)


@dataclass(frozen=True)
class PlotResult:
    """Result of `runs plot`.

    Attributes:
        output: The image file.
        runs: Names in the legend.
        metrics: Names of the metrics, one panel each.
    """

    output: Path
    runs: Sequence[str]
    metrics: Sequence[str]


@dataclass(frozen=True)
class RunCurves:
    """Logged metrics of one run.

    Attributes:
        label: Name of the run.
        lines: Lines of its metrics.jsonl.
        batch_size: Pairs per training step; 0 if unknown.
        score: Metric of its online probe.
        style: Index of its colour and dash pattern; None uses its position among the runs.
    """

    label: str
    lines: Sequence[Mapping[str, float]]
    batch_size: int
    score: str = "score"
    style: int | None = None

    def seconds(self) -> list[float | None]:
        """Training time in seconds at each line; None if unknown.

        If no time was logged, it is computed from the pairs per second, without pauses and
        checkpoints.
        """
        if self.has("elapsed_s"):
            return [line.get("elapsed_s", None if line["step"] else 0.0) for line in self.lines]
        if not self.batch_size or not self.has("pairs_per_second"):
            return [None] * len(self.lines)
        updates = np.diff([0.0, *(line["step"] for line in self.lines)])
        speeds = [line.get("pairs_per_second") or math.inf for line in self.lines]
        return [float(time) for time in np.cumsum(updates * self.batch_size / np.asarray(speeds))]

    def has(self, name: str) -> bool:
        """Whether any line has a value of a metric."""
        return any(name in line for line in self.lines)

    def values(self, name: str) -> list[float]:
        """Every logged value of a metric."""
        return [line[name] for line in self.lines if name in line]

    @property
    def longest(self) -> float | None:
        """Training time in seconds at the last line with a known time."""
        return next((time for time in reversed(self.seconds()) if time is not None), None)


def run(request: PlotRequest) -> PlotResult:
    """Plot the metrics of runs.

    Raises:
        UsageError: No run has a metric, the format is unknown, or no run has a curve.
        MissingDataError: A run does not exist.
    """
    if request.output.suffix.lower().removeprefix(".") not in FORMATS:
        suffixes = ", ".join(f".{suffix}" for suffix in FORMATS)
        raise UsageError(f"{request.output} has an unknown format: use one of {suffixes}.")
    if request.x not in AXES:
        raise UsageError(f"--x takes {', '.join(AXES)}, not '{request.x}'.")
    runs = open_runs(request.runs)
    labels = names_of(runs)
    curves = [
        RunCurves(label, run.lines, run.batch_size, run.online_metric)
        for label, run in zip(labels, runs, strict=True)
    ]
    known = metric_names(curves)
    if not known:
        raise UsageError(f"no metrics of {', '.join(labels)} yet: wait for the first line.")
    for name in request.metrics:
        if name not in known:
            raise UsageError(f"no run has metric '{name}'. Known: {', '.join(known)}.")
    metrics = list(request.metrics) or usual_metrics(curves)
    panels = run_panels(curves, metrics, request.x)
    if not any(panel.curves for panel in panels):
        raise UsageError(f"no {request.x} were logged in {', '.join(labels)}: omit --x.")
    save_picture(draw_panels(panels), request.output)
    return PlotResult(request.output, labels, metrics)


def metric_names(runs: Sequence[RunCurves]) -> list[str]:
    """Every metric of any run, in the order of the panels."""
    names = dict.fromkeys(name for run in runs for line in run.lines for name in line)
    return sorted((name for name in names if name not in NOT_DRAWN), key=_panel_index)


def usual_metrics(runs: Sequence[RunCurves]) -> list[str]:
    """Metrics plotted by default."""
    return [
        name
        for name in metric_names(runs)
        if kind_of(name) in WATCHED and WATCHED[kind_of(name)].usual
    ]


def run_panels(runs: Sequence[RunCurves], metrics: Sequence[str], x: str) -> list[Panel]:
    """A panel for each metric.

    Args:
        runs: Runs, one curve each in every panel.
        metrics: Names as in metrics.jsonl.
        x: Quantity on the x-axis, one of `AXES`. Hours become minutes or seconds if every run is
            shorter than one hour or two minutes.
    """
    return [_panel(runs, name, x) for name in metrics]


def kind_of(name: str) -> str:
    """Key of a metric in `WATCHED`, or its name."""
    return next((kind for kind in (ONLINE_PROBE, BY_SOURCE) if name.startswith(kind)), name)


def _panel(runs: Sequence[RunCurves], name: str, x: str) -> Panel:
    watched = WATCHED.get(kind_of(name), Watched(name, name))
    title, unit = watched.title, watched.unit
    part = name.removeprefix(kind_of(name))
    x_label, size = _axis(runs, x)
    curves: list[Curve] = []
    for index, run in enumerate(runs):
        curve = _curve(run, name, x, size, index if run.style is None else run.style)
        if curve is not None:
            unit = run.score if kind_of(name) == ONLINE_PROBE else unit
            curves.append(curve)
    return Panel(f"{title}: {part}" if part else title, x_label, unit, curves, cut=True)


def _axis(runs: Sequence[RunCurves], x: str) -> tuple[str, float]:
    """Label of the x-axis, and the steps, pairs or seconds per unit."""
    if x != "hours":
        return AXES[x], 1
    longest = max((run.longest or 0.0 for run in runs), default=0.0)
    units = ((label, size) for limit, size, label in SHORTER if longest < limit)
    return next(units, (AXES[x], 3600))


def _curve(run: RunCurves, name: str, x: str, size: float, style: int) -> Curve | None:
    pairs = [
        (position / size, float(line[name]))
        for position, line in zip(_positions(run, x), run.lines, strict=True)
        if position is not None and name in line
    ]
    if not pairs:
        return None
    points = np.array(pairs)
    # Scores are few and are never averaged.
    if kind_of(name) == ONLINE_PROBE or len(points) <= MAX_POINTS:
        return Curve(run.label, points[:, 0].tolist(), points[:, 1].tolist(), style=style)
    parts = np.array_split(points, MAX_POINTS)
    means = np.array([part.mean(axis=0) for part in parts])
    return Curve(
        run.label,
        means[:, 0].tolist(),
        means[:, 1].tolist(),
        [float(part[:, 1].min()) for part in parts],
        [float(part[:, 1].max()) for part in parts],
        style,
    )


def _positions(run: RunCurves, x: str) -> list[float | None]:
    if x == "hours":
        return run.seconds()
    factor = run.batch_size if x == "pairs" else 1
    return [line["step"] * factor for line in run.lines]


def _panel_index(name: str) -> int:
    return ORDER.index(kind_of(name)) if kind_of(name) in ORDER else len(ORDER)
