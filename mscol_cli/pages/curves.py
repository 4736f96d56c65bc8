"""Curves as pictures: one line per run, told apart without colour as well."""

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

# Okabe and Ito (2008): told apart under every common kind of colour blindness. Yellow, the eighth,
# is too faint on white for a line.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", "dashed", "dashdot", "dotted")
WIDTH = 5.2
"""Inches of one panel."""
LONGEST = 30
"""Letters in a line of the name of a vertical axis."""
HANDLE = 0.65
"""Inches of a legend's entry beside its name."""
FEW_POINTS = 30
"""Up to this many points of a curve are marked."""
APART = 3.5
"""Points between intervals of several curves, which are bars then: shades would hide each other."""
WHOLE = ("updates", "pairs seen")
"""What runs along in whole numbers."""


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
        cut: Whether early values may be cut off where they would flatten the rest; the picture
            then says so.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    level: float | None = None
    cut: bool = False

    @property
    def limits(self) -> Limits | None:
        """The ends of the vertical axis; None where nothing is cut off."""
        return robust_limits([curve.y for curve in self.curves]) if self.cut else None


def draw_panels(panels: Sequence[Panel], *, columns: int = 2) -> Figure:
    """A figure of all panels under one legend, ready to be saved."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH * columns, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place, panel in zip(axes, panels, strict=False):
        _draw(figure, place, panel)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    _legend(figure, panels)
    return figure


def log_ticks(place: Axes, values: Sequence[float]) -> None:
    """Let x be logarithmic, with a tick at each of a few values."""
    ticks = sorted(set(values))
    place.set_xscale("log")
    place.minorticks_off()
    place.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])


def colour(style: int) -> str:
    """The colour of a style."""
    return PALETTE[style % len(PALETTE)]


def dash(style: int) -> str:
    """The dash of a style: it changes where colours begin anew, too."""
    return DASHES[(style + 2 * (style // len(PALETTE))) % len(DASHES)]


def _draw(figure: Figure, place: Axes, panel: Panel) -> None:
    drawn = [curve for curve in panel.curves if len(curve.x)]
    bars = sum(bool(len(curve.low)) for curve in drawn) > 1
    bars = bars and all(len(curve.x) <= FEW_POINTS for curve in drawn)
    for number, curve in enumerate(drawn):
        aside = (number - (len(drawn) - 1) / 2) * APART if bars else 0.0
        _draw_curve(place, curve, figure.dpi_scale_trans, aside, bars)
    if panel.level is not None:
        place.axhline(panel.level, color="0.4", linestyle="dotted", linewidth=1)
    if not drawn:
        place.text(
            0.5, 0.5, "no values", color="0.4", ha="center", va="center", transform=place.transAxes
        )
        place.set(xticks=[], yticks=[])
    title = folded(panel.title, letters(WIDTH - 0.7, TITLE_SIZE))
    place.set_title(title, fontsize=TITLE_SIZE)
    place.set(xlabel=panel.x_label, ylabel=folded(panel.y_label, LONGEST))
    if (limits := panel.limits) is not None:
        _cut(place, panel, limits)
    if panel.x_label in WHOLE:
        place.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        place.xaxis.set_major_formatter(EngFormatter(sep=""))
    place.grid(color="0.9", linewidth=0.6)
    place.set_axisbelow(True)
    place.spines[["top", "right"]].set_visible(False)


def _cut(place: Axes, panel: Panel, limits: Limits) -> None:
    """Cut off what is beyond the limits, with a triangle where it would be."""
    place.set_ylim(limits.low, limits.high)
    for curve in panel.curves:
        for end, marker, beyond in (
            (limits.high, "^", [y > limits.high for y in curve.y]),
            (limits.low, "v", [y < limits.low for y in curve.y]),
        ):
            x = [at for at, outside in zip(curve.x, beyond, strict=True) if outside]
            shade = colour(curve.style)
            place.scatter(x, [end] * len(x), marker=marker, color=shade, s=22, clip_on=False)
    place.set_xlabel(f"{panel.x_label}\n({limits.note})")


def _draw_curve(place: Axes, curve: Curve, inch: Affine2DBase, aside: float, bars: bool) -> None:
    """Draw a curve so many points aside from where it belongs; `inch` is one of the figure."""
    shade = colour(curve.style)
    lines = place.plot(
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
        drawn.append(place.vlines(curve.x, curve.low, curve.high, color=shade, linewidth=1.2))
    elif len(curve.low):
        place.fill_between(curve.x, curve.low, curve.high, color=shade, alpha=0.18, linewidth=0)
    # Afterwards: axes find their limits by what is drawn where it belongs.
    for artist in drawn if aside else ():
        artist.set_transform(place.transData + ScaledTranslation(aside / 72, 0, inch))


def _legend(figure: Figure, panels: Sequence[Panel]) -> None:
    """One for all panels, over them; the figure grows by it, so that they keep their size."""
    handles: dict[str, Artist] = {}
    for place in figure.axes:
        for handle, label in zip(*place.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if not handles or (len(handles) == 1 and len(panels) == 1):
        return
    width, height = figure.get_size_inches()
    names = [shortened(name, letters(width - 0.8, LABEL_SIZE)) for name in handles]
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
