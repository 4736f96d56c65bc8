"""Curves as pictures: one line per run, told apart without colour as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mscol_cli.files import write_atomically

# Okabe and Ito (2008): told apart under every common kind of colour blindness. Yellow, the eighth,
# is too faint on white for a line.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", "dashed", "dashdot", "dotted")
DOTS_PER_INCH = 144


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Attributes:
        label: Its name in the legend.
        x: (points,) positions.
        y: (points,) values.
        low: (points,) lower bounds of an interval around them, to shade; empty for none.
        high: (points,) its upper bounds.
        style: Which colour and dash; curves of one run share it in every panel.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    style: int = 0


@dataclass(frozen=True)
class Panel:
    """Curves over one pair of axes.

    Attributes:
        title: What is drawn.
        x_label: What runs along, with its unit.
        y_label: What runs up, with its unit.
        curves: The lines.
        level: Height of a dotted line to compare with, such as chance; None for none.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    level: float | None = None


def draw_panels(panels: Sequence[Panel], *, columns: int = 2) -> Figure:
    """A figure of all panels under one legend, ready for `save_picture`."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.4 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place, panel in zip(axes, panels, strict=False):
        _draw(place, panel)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    _legend(figure, panels)
    return figure


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the file appears whole or not at all."""

    def write(temporary: Path) -> None:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)

    write_atomically(path, write)


def log_ticks(place: Axes, values: Sequence[float]) -> None:
    """Let x be logarithmic, with a tick at each of a few values."""
    ticks = sorted(set(values))
    place.set_xscale("log")
    place.minorticks_off()
    place.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])


def picture_png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH)
    return content.getvalue()


def colour(style: int) -> str:
    """The colour of a style."""
    return PALETTE[style % len(PALETTE)]


def dash(style: int) -> str:
    """The dash of a style: it changes where colours begin anew, too."""
    return DASHES[(style + 2 * (style // len(PALETTE))) % len(DASHES)]


def _draw(place: Axes, panel: Panel) -> None:
    for curve in panel.curves:
        marker = "o" if len(curve.x) <= 30 else None
        place.plot(
            curve.x,
            curve.y,
            color=colour(curve.style),
            linestyle=dash(curve.style),
            linewidth=1.6,
            marker=marker,
            markersize=3.5,
            label=curve.label,
        )
        if len(curve.low):
            place.fill_between(
                curve.x, curve.low, curve.high, color=colour(curve.style), alpha=0.18, linewidth=0
            )
    if panel.level is not None:
        place.axhline(panel.level, color="0.4", linestyle="dotted", linewidth=1)
    place.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
    place.grid(color="0.9", linewidth=0.6)
    place.set_axisbelow(True)
    place.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, panels: Sequence[Panel]) -> None:
    handles: dict[str, Artist] = {}
    for place in figure.axes:
        for handle, label in zip(*place.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if len(handles) > 1 or len(panels) > 1:
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside upper center",
            ncols=min(3, max(1, len(handles))),
            frameon=False,
        )
