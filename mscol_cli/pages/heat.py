"""A table of scores as a heat map whose numbers can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mscol_cli.pages.lettering import (
    LABEL_SIZE,
    colour_bar,
    folded,
    inches,
    ink,
    put_title,
    shortened,
)

# From orange over white to purple: told apart under every common kind of colour blindness.
COLOURS = "PuOr"
_NO_SCORE = "0.92"
LONGEST, LONGEST_HEAD = 40, 16
"""Letters of the name of a row, and of a line of the name of a column."""


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
    names = [shortened(name, LONGEST) for name in rows]
    heads = [folded(name, LONGEST_HEAD, lines=3) for name in columns]
    beside = max(inches(name, LABEL_SIZE) for name in names)
    wide = max(0.75, *(inches(head, LABEL_SIZE) + 0.1 for head in heads))
    middle, reach = scale
    low, high = middle - reach, middle + reach
    size = (max(0.6 + beside + wide * len(columns), 4.6), 2.2 + 0.27 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    place = figure.subplots()
    place.set_facecolor(_NO_SCORE)
    image = place.imshow(table, cmap=COLOURS, aspect="auto", vmin=low, vmax=high)
    place.set_xticks(range(len(columns)), heads, fontsize=LABEL_SIZE)
    place.xaxis.tick_top()
    place.set_yticks(range(len(rows)), names, fontsize=LABEL_SIZE)
    place.tick_params(length=0)
    put_title(figure, title)
    colour_bar(figure, place, image, label)
    colours = image.to_rgba(np.ma.masked_invalid(table))
    for row, column in np.ndindex(table.shape):
        shade = ink(*colours[row, column, :3]) if np.isfinite(table[row, column]) else "black"
        place.text(
            column, row, texts[row][column], ha="center", va="center", color=shade, fontsize=7.5
        )
    return figure
