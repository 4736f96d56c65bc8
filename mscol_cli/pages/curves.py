"""Panels of curves, one line per run, distinguishable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.transforms import Affine2DBase, ScaledTranslation

from mscol_cli.pages.lettering import LABEL_SIZE, TITLE_SIZE, folded, inches, letters, shortened
from mscol_cli.pages.limits import Limits, robust_limits
from mscol_cli.system.files import escaped

# Okabe and Ito (2008), safe for all common kinds of colour blindness. Yellow, the eighth colour, is
# too faint for lines on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", "dashed", "dashdot", "dotted")
WIDTH = 5.2
"""Inches of one panel."""
MAX_LINE = 30
"""Letters per line in the label of a vertical axis."""
HANDLE = 0.65
"""Width in inches of a legend entry without its label."""
FEW_POINTS = 30
"""Maximum number of points of a curve that are drawn as markers."""
BAR_SPACING = 3.5
"""Points between the interval bars of several curves; shaded areas would hide each other."""
INTEGER_LABELS = ("updates", "pairs seen")
"""Horizontal axes with integer ticks."""


@dataclass(frozen=True)
class Curve:
    """A line of a panel.

    Attributes:
        label: Label in the legend.
        x: (points,) positions.
        y: (points,) values.
        low: (points,) lower bounds of intervals; empty for no intervals.
        high: (points,) upper bounds of intervals.
        style: Index of colour and dash; curves of a run share it in all panels.
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
        title: Title of the panel.
        x_label: Label of the horizontal axis, with unit.
        y_label: Label of the vertical axis, with unit.
        curves: The curves.
        cut: Whether to cut off early values that would flatten the rest, with a note in the figure.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    cut: bool = False

    @property
    def limits(self) -> Limits | None:
        """Limits of the vertical axis; None if nothing is cut off."""
        return robust_limits([curve.y for curve in self.curves]) if self.cut else None


def draw_panels(panels: Sequence[Panel]) -> Figure:
    """Draw panels, two in a row, with a common legend."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH * columns, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax, panel in zip(axes, panels, strict=False):
        _draw(figure, ax, panel)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    _legend(figure, panels)
    return figure


def log_ticks(ax: Axes, values: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with ticks at the given values."""
    ticks = sorted(set(values))
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])


def colour(style: int) -> str:
    """Return the colour of a style."""
    return PALETTE[style % len(PALETTE)]


def dash(style: int) -> str:
    """Return the dash of a style; repeated colours have different dashes."""
    return DASHES[(style + 2 * (style // len(PALETTE))) % len(DASHES)]


def _draw(figure: Figure, ax: Axes, panel: Panel) -> None:
    drawn = [curve for curve in panel.curves if len(curve.x)]
    bars = sum(bool(len(curve.low)) for curve in drawn) > 1
    bars = bars and all(len(curve.x) <= FEW_POINTS for curve in drawn)
    for number, curve in enumerate(drawn):
        aside = (number - (len(drawn) - 1) / 2) * BAR_SPACING if bars else 0.0
        _draw_curve(ax, curve, figure.dpi_scale_trans, aside, bars)
    if not drawn:
        ax.text(
            0.5, 0.5, "no values", color="0.4", ha="center", va="center", transform=ax.transAxes
        )
        ax.set(xticks=[], yticks=[])
    title = folded(panel.title, letters(WIDTH - 0.7, TITLE_SIZE))
    ax.set_title(title, fontsize=TITLE_SIZE)
    ax.set(xlabel=panel.x_label, ylabel=folded(panel.y_label, MAX_LINE))
    if (limits := panel.limits) is not None:
        _cut(ax, panel, limits)
    if panel.x_label in INTEGER_LABELS:
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _cut(ax: Axes, panel: Panel, limits: Limits) -> None:
    """Cut off values beyond the limits, and mark them with triangles."""
    ax.set_ylim(limits.low, limits.high)
    for curve in panel.curves:
        for end, marker, beyond in (
            (limits.high, "^", [y > limits.high for y in curve.y]),
            (limits.low, "v", [y < limits.low for y in curve.y]),
        ):
            x = [x for x, outside in zip(curve.x, beyond, strict=True) if outside]
            shade = colour(curve.style)
            ax.scatter(x, [end] * len(x), marker=marker, color=shade, s=22, clip_on=False)
    ax.set_xlabel(f"{panel.x_label}\n({limits.note})")


def _draw_curve(ax: Axes, curve: Curve, inch: Affine2DBase, aside: float, bars: bool) -> None:
    """Draw a curve, shifted by `aside` points; `inch` is the figure's transform of inches."""
    shade = colour(curve.style)
    lines = ax.plot(
        curve.x,
        curve.y,
        color=shade,
        linestyle=dash(curve.style),
        linewidth=1.6,
        marker="o" if len(curve.x) <= FEW_POINTS else None,
        markersize=3.5,
        label=escaped(curve.label),
    )
    drawn: list[Artist] = [*lines]
    if len(curve.low) and (bars or len(curve.x) == 1):
        drawn.append(ax.vlines(curve.x, curve.low, curve.high, color=shade, linewidth=1.2))
    elif len(curve.low):
        ax.fill_between(curve.x, curve.low, curve.high, color=shade, alpha=0.18, linewidth=0)
    # Shifted last, because axis limits depend on the original positions.
    for artist in drawn if aside else ():
        artist.set_transform(ax.transData + ScaledTranslation(aside / 72, 0, inch))


def _legend(figure: Figure, panels: Sequence[Panel]) -> None:
    """Add a legend above all panels; the figure grows, so that the panels keep their size."""
    handles: dict[str, Artist] = {}
    for ax in figure.axes:
        for line in ax.get_lines():
            handles.setdefault(str(line.get_label()), line)
    if not handles or (len(handles) == 1 and len(panels) == 1):
        return
    width, height = figure.get_size_inches()
    names = [shortened(name, letters(width - 0.8, LABEL_SIZE)) for name in handles]
    # matplotlib leaves out labels that begin with an underscore.
    names = [f" {name}" if name.startswith("_") else name for name in names]
    entry = HANDLE + max(inches(name, LABEL_SIZE) for name in names)
    columns = max(1, min(len(names), int(width / entry)))
    rows = -(-len(names) // columns)
    figure.set_size_inches(width, height + 0.15 + 0.19 * rows)
    figure.legend(
        list(handles.values()),
        names,
        loc="outside upper center",
        ncols=columns,
        frameon=False,
        fontsize=LABEL_SIZE,
        handlelength=3,
    )
