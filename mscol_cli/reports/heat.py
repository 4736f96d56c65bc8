"""A table of scores as a heat map whose numbers can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# From orange over white to purple: told apart under every common kind of colour blindness.
COLOURS = "PuOr"
_NO_SCORE = "0.92"


def draw_heat(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    texts: Sequence[Sequence[str]],
    label: str,
    scale: tuple[float, float],
) -> Figure:
    """A figure of a table of scores.

    Args:
        title: What is shown.
        rows: Names of the rows.
        columns: Names of the columns.
        values: (rows, columns) scores; None leaves the cell grey.
        texts: (rows, columns) what is written into the cells.
        label: What the colours mean, with the unit.
        scale: The value that is white, and how far from it colours are deepest.
    """
    table = np.array([[np.nan if one is None else one for one in row] for row in values])
    width = 1.6 + 0.075 * max(map(len, rows)) + 0.82 * len(columns)
    middle, reach = scale
    low, high = middle - reach, middle + reach
    figure = Figure(figsize=(max(width, 4.6), 1.5 + 0.27 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    place = figure.subplots()
    place.set_facecolor(_NO_SCORE)
    image = place.imshow(table, cmap=COLOURS, aspect="auto", vmin=low, vmax=high)
    place.set_xticks(range(len(columns)), columns)
    place.xaxis.tick_top()
    place.set_yticks(range(len(rows)), rows)
    place.tick_params(length=0)
    place.set_title(title, fontsize=10)
    figure.colorbar(image, ax=place, label=label, shrink=min(1.0, 4.0 / (0.27 * len(rows) + 1)))
    for row, column in np.ndindex(table.shape):
        ink = "white" if abs(table[row, column] - middle) > 0.55 * reach else "black"
        place.text(
            column, row, texts[row][column], ha="center", va="center", color=ink, fontsize=7.5
        )
    return figure
