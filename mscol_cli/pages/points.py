"""Scores as points with intervals, and confusions as a matrix of shares."""

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
LONGEST = 28
"""Letters in a line of the name of a model or class."""
WRITTEN_CLASSES = 12
"""Up to this many classes the cells of a matrix have room for a number."""


@dataclass(frozen=True)
class Point:
    """One row of a picture of scores.

    Attributes:
        label: The model.
        value: Its score.
        low: Lower bound of the score's interval.
        high: Its upper bound.
        per_seed: The score of each seed, drawn faintly.
        style: Its colour and marker.
    """

    label: str
    value: float
    low: float
    high: float
    per_seed: Sequence[float] = ()
    style: int = 0


def draw_points(title: str, x_label: str, points: Sequence[Point]) -> Figure:
    """A figure with a row per model: its score, the interval as a bar, its seeds as dots."""
    labels = [folded(point.label, LONGEST) for point in points]
    figure, place = _figure(width=5.2, height=1.2 + 0.36 * len(points))
    for row, point in enumerate(points):
        _draw_point(place, row, point)
    place.set_yticks(range(len(points)), labels, fontsize=LABEL_SIZE)
    place.set_ylim(len(points) - 0.4, -0.6)
    place.set_xlabel(x_label)
    put_title(figure, title)
    place.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    place.grid(axis="x", color="0.9", linewidth=0.6)
    place.set_axisbelow(True)
    place.spines[["top", "right", "left"]].set_visible(False)
    place.tick_params(axis="y", length=0)
    return figure


def draw_confusion(title: str, classes: Sequence[str], counts: Sequence[Sequence[float]]) -> Figure:
    """A figure of a confusion matrix: which share of each true class was taken for which.

    Args:
        title: What was scored.
        classes: Names of rows and columns.
        counts: (classes, classes) clips, rows are true classes, columns predicted ones.
    """
    table = np.asarray(counts, dtype=np.float64)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 2.4 + 0.34 * min(len(classes), 40)
    names = [shortened(name, LONGEST) for name in classes]
    figure, place = _figure(width=side, height=side)
    image = place.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    place.set_xticks(range(len(classes)), names, rotation=90, fontsize=LABEL_SIZE)
    place.set_yticks(range(len(classes)), names, fontsize=LABEL_SIZE)
    place.set(xlabel="predicted class", ylabel="true class")
    put_title(figure, title)
    if len(classes) <= WRITTEN_CLASSES:
        _write_shares(place, shares, image.to_rgba(shares))
        place.set_xlabel("predicted class\n(numbers: share of the true class)")
    else:
        colour_bar(figure, place, image, "share of the true class")
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _draw_point(place: Axes, row: int, point: Point) -> None:
    shade = colour(point.style)
    place.plot([point.low, point.high], [row, row], color=shade, linewidth=2, solid_capstyle="butt")
    for end in (point.low, point.high):
        place.plot([end, end], [row - 0.13, row + 0.13], color=shade, linewidth=2)
    seeds = list(point.per_seed) if len(point.per_seed) > 1 else []
    place.scatter(seeds, [row + 0.27] * len(seeds), s=9, color=shade, alpha=0.55, linewidths=0)
    marker = MARKERS[point.style % len(MARKERS)]
    place.plot([point.value], [row], marker=marker, color=shade, markersize=7)


def _write_shares(place: Axes, shares: NDArray[np.float64], colours: NDArray[np.float64]) -> None:
    for row, column in np.ndindex(shares.shape):
        if (share := shares[row, column]) > 0:
            shade = ink(*colours[row, column, :3])
            text = f"{share:.2f}"
            place.text(column, row, text, ha="center", va="center", color=shade, fontsize=7)
