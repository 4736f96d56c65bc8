"""Heat map of a table of scores, with readable numbers."""

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

# From orange over white to purple, safe for all common kinds of colour blindness.
COLOURS = "PuOr"
_NO_SCORE = "0.92"
MAX_NAME, MAX_HEAD_LINE = 40, 16
"""Letters in the name of a row, and per line in the name of a column."""


def draw_heat(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    texts: Sequence[Sequence[str]],
    label: str,
) -> Figure:
    """Draw a table of scores from 0 to 1 as a heat map that is white at 0.5, chance.

    Args:
        title: Title of the figure.
        rows: Names of the rows.
        columns: Names of the columns.
        values: (rows, columns) scores; cells without a score are grey.
        texts: (rows, columns) texts of the cells.
        label: Label of the colour bar, with unit.
    """
    table = np.array([[np.nan if value is None else value for value in row] for row in values])
    names = [shortened(name, MAX_NAME) for name in rows]
    heads = [folded(name, MAX_HEAD_LINE, lines=3) for name in columns]
    beside = max(inches(name, LABEL_SIZE) for name in names)
    wide = max(0.75, *(inches(head, LABEL_SIZE) + 0.1 for head in heads))
    size = (max(0.6 + beside + wide * len(columns), 4.6), 2.2 + 0.27 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    ax.set_facecolor(_NO_SCORE)
    image = ax.imshow(table, cmap=COLOURS, aspect="auto", vmin=0, vmax=1)
    ax.set_xticks(range(len(columns)), heads, fontsize=LABEL_SIZE)
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(rows)), names, fontsize=LABEL_SIZE)
    ax.tick_params(length=0)
    put_title(figure, title)
    colour_bar(figure, ax, image, label)
    colours = image.to_rgba(np.ma.masked_invalid(table))
    for row, column in np.ndindex(table.shape):
        shade = ink(*colours[row, column, :3]) if np.isfinite(table[row, column]) else "black"
        ax.text(
            column, row, texts[row][column], ha="center", va="center", color=shade, fontsize=7.5
        )
    return figure
