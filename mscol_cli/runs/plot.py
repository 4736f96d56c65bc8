"""`mscol runs plot`: training curves of runs in one figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mscol_cli.contracts.watched import (
    BY_SOURCE,
    NOT_DRAWN,
    ONLINE_PROBE,
    WATCHED,
    Watched,
)
from mscol_cli.errors import UsageError
from mscol_cli.pages.curves import Curve, Panel
from mscol_cli.runs.listing import names_of
from mscol_cli.runs.record import open_runs

AXES = {"steps": "updates", "hours": "hours of training", "pairs": "pairs seen"}
MINUTES = "minutes of training"
MOST_POINTS = 300
"""Of a curve: a longer one is drawn as means of equal stretches, or noise would hide it."""
ORDER = tuple(WATCHED)


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


@dataclass(frozen=True)
class RunCurves:
    """What is drawn of one run.

    Attributes:
        label: Its name.
        lines: Of its metrics.jsonl.
        batch_size: Pairs per update; 0 where unknown.
        score: What its online probe measures.
        style: Its colour and dash; None for its place among the runs.
    """

    label: str
    lines: Sequence[Mapping[str, float]]
    batch_size: int
    score: str = "score"
    style: int | None = None

    def seconds(self) -> list[float | None]:
        """Seconds of training at each line, None where unknown.

        As logged; of a run that logged no time, computed from its pairs per second, without
        pauses and checkpoints.
        """
        if self.has("elapsed_s"):
            return [line.get("elapsed_s", None if line["step"] else 0.0) for line in self.lines]
        if not self.batch_size or not self.has("pairs_per_second"):
            return [None] * len(self.lines)
        updates = np.diff([0.0, *(line["step"] for line in self.lines)])
        speeds = [line.get("pairs_per_second") or math.inf for line in self.lines]
        return [float(one) for one in np.cumsum(updates * self.batch_size / np.asarray(speeds))]

    def has(self, name: str) -> bool:
        """Whether some line has a value of a metric."""
        return any(name in line for line in self.lines)

    def values(self, name: str) -> list[float]:
        """Every logged value of a metric."""
        return [line[name] for line in self.lines if name in line]

    @property
    def longest(self) -> float | None:
        """Seconds of training at the last line that has them."""
        return next((one for one in reversed(self.seconds()) if one is not None), None)


def run(request: PlotRequest) -> PlotResult:
    """Draw runs over each other.

    Raises:
        UsageError: A metric that no run has, an unknown format, runs without any curve.
        MissingDataError: There is no run of one of the names.
    """
    from mscol_cli.pages.curves import draw_panels
    from mscol_cli.pages.pictures import FORMATS, save_picture

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


def metric_names(runs: Sequence[RunCurves]) -> list[str]:
    """Every metric that some run has, in the order in which they are drawn."""
    held = dict.fromkeys(name for run in runs for line in run.lines for name in line)
    return sorted((name for name in held if name not in NOT_DRAWN), key=_place)


def usual_metrics(runs: Sequence[RunCurves]) -> list[str]:
    """Those that are drawn where none are asked for."""
    return [
        name
        for name in metric_names(runs)
        if kind_of(name) in WATCHED and WATCHED[kind_of(name)].usual
    ]


def run_panels(runs: Sequence[RunCurves], metrics: Sequence[str], x: str) -> list[Panel]:
    """A panel for each metric.

    Args:
        runs: One line each, in every panel of the same colour.
        metrics: Names as in metrics.jsonl.
        x: What runs along, one of `AXES`; hours are minutes where every run is shorter than one.
    """
    return [_panel(runs, name, x) for name in metrics]


def kind_of(name: str) -> str:
    """A metric's key in `WATCHED`, or its name."""
    return next((kind for kind in (ONLINE_PROBE, BY_SOURCE) if name.startswith(kind)), name)


def _panel(runs: Sequence[RunCurves], name: str, x: str) -> Panel:
    watched = WATCHED.get(kind_of(name), Watched(name, name))
    title, unit = watched.title, watched.unit
    part = name.removeprefix(kind_of(name))
    x_label, size = _axis(runs, x)
    curves: list[Curve] = []
    for place, run in enumerate(runs):
        curve = _curve(run, name, x, size, place if run.style is None else run.style)
        if curve is not None:
            unit = run.score if kind_of(name) == ONLINE_PROBE else unit
            curves.append(curve)
    return Panel(f"{title}: {part}" if part else title, x_label, unit, curves, cut=True)


def _axis(runs: Sequence[RunCurves], x: str) -> tuple[str, float]:
    """What runs along, and how much of it (updates, pairs, seconds) is 1."""
    if x != "hours":
        return AXES[x], 1
    short = max((run.longest or 0.0 for run in runs), default=0.0) < 3600
    return (MINUTES, 60) if short else (AXES[x], 3600)


def _curve(run: RunCurves, name: str, x: str, size: float, style: int) -> Curve | None:
    both = [
        (place / size, float(line[name]))
        for place, line in zip(_along(run, x), run.lines, strict=True)
        if place is not None and name in line
    ]
    if not both:
        return None
    points = np.array(both)
    # Scores are few, and none is to be lost in a mean.
    if kind_of(name) == ONLINE_PROBE or len(both) <= MOST_POINTS:
        return Curve(run.label, points[:, 0].tolist(), points[:, 1].tolist(), style=style)
    parts = np.array_split(points, MOST_POINTS)
    means = np.array([part.mean(axis=0) for part in parts])
    return Curve(
        run.label,
        means[:, 0].tolist(),
        means[:, 1].tolist(),
        [float(part[:, 1].min()) for part in parts],
        [float(part[:, 1].max()) for part in parts],
        style,
    )


def _along(run: RunCurves, x: str) -> list[float | None]:
    if x == "hours":
        return run.seconds()
    factor = run.batch_size if x == "pairs" else 1
    return [line["step"] * factor for line in run.lines]


def _place(name: str) -> int:
    return ORDER.index(kind_of(name)) if kind_of(name) in ORDER else len(ORDER)
