"""Panels of what was watched while runs were trained, one line per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.reports.curves import Curve, Panel

AXES = {"steps": "updates", "hours": "hours of training", "pairs": "pairs seen"}
MOST_POINTS = 200
"""Of a curve: a longer one is drawn as means of equal stretches, or noise would hide it."""
PROBE = "probe/"
TITLES = {
    "loss": ("loss", "mean loss"),
    "accuracy": ("accuracy of the association", "share of anchors"),
    PROBE: ("online probe", "score"),
    "effective_rank": ("effective rank of embeddings", "directions"),
    "alignment": ("alignment (lower is closer)", "mean squared distance"),
    "uniformity": ("uniformity (lower is more even)", "log mean potential"),
    "gradient_norm": ("gradient norm", "L2 norm"),
    "logit_std": ("spread of logits", "standard deviation"),
    "pairs_per_second": ("speed", "pairs per second"),
    "data_wait": ("waiting for data", "share of time"),
    "learning_rate": ("learning rate", "rate"),
    "memory_bytes": ("memory", "bytes"),
}
ORDER = tuple(TITLES)
USUAL = ORDER[: ORDER.index("gradient_norm") + 1]
NOT_DRAWN = ("step", "elapsed_s")


@dataclass(frozen=True)
class RunCurves:
    """What is drawn of one run.

    Attributes:
        label: Its name.
        lines: Of its metrics.jsonl.
        batch_size: Pairs per update.
        score: What its online probe measures.
    """

    label: str
    lines: Sequence[Mapping[str, float]]
    batch_size: int
    score: str = "score"


def metric_names(runs: Sequence[RunCurves]) -> list[str]:
    """Every metric that some run has, in the order in which they are drawn."""
    held = dict.fromkeys(name for run in runs for line in run.lines for name in line)
    return sorted((name for name in held if name not in NOT_DRAWN), key=_place)


def usual_metrics(runs: Sequence[RunCurves]) -> list[str]:
    """Those that are drawn where none are asked for."""
    return [name for name in metric_names(runs) if _kind(name) in USUAL]


def run_panels(runs: Sequence[RunCurves], metrics: Sequence[str], x: str) -> list[Panel]:
    """A panel for each metric.

    Args:
        runs: One line each, in every panel of the same colour.
        metrics: Names as in metrics.jsonl.
        x: What runs along, one of `AXES`.
    """
    return [_panel(runs, name, x) for name in metrics]


def _panel(runs: Sequence[RunCurves], name: str, x: str) -> Panel:
    title, unit = TITLES.get(_kind(name), (name, name))
    task = name.removeprefix(PROBE)
    curves: list[Curve] = []
    for style, run in enumerate(runs):
        along, up = _points(run, name, x)
        if up:
            unit = run.score if task != name else unit
            curves.append(Curve(run.label, along, up, style=style))
    return Panel(title if task == name else f"{title}: {task}", AXES[x], unit, curves)


def _points(run: RunCurves, name: str, x: str) -> tuple[list[float], list[float]]:
    places = [_along(line, run.batch_size, x) for line in run.lines]
    both = [
        (place, line[name])
        for place, line in zip(places, run.lines, strict=True)
        if place is not None and name in line
    ]
    # Scores are few, and none is to be lost in a mean.
    stretches = len(both) if _kind(name) == PROBE else min(len(both), MOST_POINTS)
    if not stretches:
        return [], []
    means = [np.mean(part, axis=0) for part in np.array_split(np.array(both, float), stretches)]
    return [float(mean[0]) for mean in means], [float(mean[1]) for mean in means]


def _along(line: Mapping[str, float], batch_size: int, x: str) -> float | None:
    if x == "hours":
        seconds = line.get("elapsed_s", None if line["step"] else 0.0)
        return None if seconds is None else seconds / 3600
    return line["step"] * (batch_size if x == "pairs" else 1)


def _kind(name: str) -> str:
    return PROBE if name.startswith(PROBE) else name


def _place(name: str) -> int:
    return ORDER.index(_kind(name)) if _kind(name) in ORDER else len(ORDER)
