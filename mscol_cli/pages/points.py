"""Scores as points with intervals, and confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mscol_cli.pages.curves import colour
from mscol_cli.pages.lettering import LABEL_SIZE, colour_bar, folded, ink, put_title, shortened

MARKERS = ("o", "s", "D", "^", "v", "P", "X")
MAX_LINE = 28
"""Letters per line in the name of a model or class."""
MAX_NUMBERED = 12
"""Maximum number of classes of a matrix with numbers in its cells."""


@dataclass(frozen=True)
class Point:
    """Score of a model.

    Attributes:
        label: Name of the model.
        value: Score.
        low: Lower bound of the interval.
        high: Upper bound of the interval.
        per_seed: Score of each seed, drawn faintly.
        style: Index of colour and marker.
    """

    label: str
    value: float
    low: float
    high: float
    per_seed: Sequence[float] = ()
    style: int = 0


def draw_points(title: str, x_label: str, points: Sequence[Point]) -> Figure:
    """Draw a row per model, with its score, interval, and scores per seed."""
    labels = [folded(point.label, MAX_LINE) for point in points]
    figure, ax = _figure(width=5.2, height=1.2 + 0.36 * len(points))
    for row, point in enumerate(points):
        _draw_point(ax, row, point)
    ax.set_yticks(range(len(points)), labels, fontsize=LABEL_SIZE)
    ax.set_ylim(len(points) - 0.4, -0.6)
    ax.set_xlabel(x_label)
    put_title(figure, title)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return figure


def draw_confusion(title: str, classes: Sequence[str], counts: Sequence[Sequence[float]]) -> Figure:
    """Draw a confusion matrix as shares of each true class.

    Args:
        title: Title of the figure.
        classes: Names of the classes.
        counts: (classes, classes) clips by true class (rows) and predicted class (columns).
    """
    table = np.asarray(counts, dtype=np.float64)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 2.4 + 0.34 * min(len(classes), 40)
    names = [shortened(name, MAX_LINE) for name in classes]
    figure, ax = _figure(width=side, height=side)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(classes)), names, rotation=90, fontsize=LABEL_SIZE)
    ax.set_yticks(range(len(classes)), names, fontsize=LABEL_SIZE)
    ax.set(xlabel="predicted class", ylabel="true class")
    put_title(figure, title)
    if len(classes) <= MAX_NUMBERED:
        _write_shares(ax, shares, image.to_rgba(shares))
        ax.set_xlabel("predicted class\n(numbers: share of the true class)")
    else:
        colour_bar(figure, ax, image, "share of the true class")
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _draw_point(ax: Axes, row: int, point: Point) -> None:
    shade = colour(point.style)
    ax.plot([point.low, point.high], [row, row], color=shade, linewidth=2, solid_capstyle="butt")
    for end in (point.low, point.high):
        ax.plot([end, end], [row - 0.13, row + 0.13], color=shade, linewidth=2)
    seeds = list(point.per_seed) if len(point.per_seed) > 1 else []
    ax.scatter(seeds, [row + 0.27] * len(seeds), s=9, color=shade, alpha=0.55, linewidths=0)
    marker = MARKERS[point.style % len(MARKERS)]
    ax.plot([point.value], [row], marker=marker, color=shade, markersize=7)


def _write_shares(ax: Axes, shares: NDArray[np.float64], colours: NDArray[np.float64]) -> None:
    for row, column in np.ndindex(shares.shape):
        if (share := shares[row, column]) > 0:
            shade = ink(*colours[row, column, :3])
            text = f"{share:.2f}"
            ax.text(column, row, text, ha="center", va="center", color=shade, fontsize=7)
