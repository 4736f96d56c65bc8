"""Plots of a probe: scores by number of labels, and by source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mscol_cli.pages.curves import Curve, Panel, draw_panels, log_ticks
from mscol_cli.pages.heat import draw_heat
from mscol_cli.pages.pictures import save_pictures
from mscol_cli.probe.attributed import Attribution, PairedScore
from mscol_cli.probe.attribution import ordered_classes
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.result import LabelBudget, ProbeResult


def draw_label_curves(result: ProbeResult, path: Path) -> None:
    """Plot scores by number of labels, a panel per metric and a curve per test set, with 95 %
    intervals, as PNG, PDF and SVG."""
    budgets = result.label_budgets
    panels = [
        Panel(
            title=f"{result.task}: {result.model}",
            x_label="labelled training clips",
            y_label=f"{metric} (95 % interval)",
            curves=[_curve(budgets, index, metric) for index in range(len(budgets[0].test_sets))],
        )
        for metric in budgets[0].test_sets[0].metrics
    ]
    figure = draw_panels(panels)
    for axes in figure.axes:
        log_ticks(axes, [budget.clips for budget in budgets])
    save_pictures(figure, path)


def _curve(budgets: Sequence[LabelBudget], index: int, metric: str) -> Curve:
    scores = [budget.test_sets[index].metrics[metric] for budget in budgets]
    return Curve(
        label=f"{budgets[0].test_sets[index].name} clips",
        x=[budget.clips for budget in budgets],
        y=[score.value for score in scores],
        low=[score.low for score in scores],
        high=[score.high for score in scores],
        style=index,
    )


def draw_attribution(result: ProbeResult, attribution: Attribution, path: Path) -> None:
    """Plot scores by source, as PNG, PDF and SVG."""
    title = f"{result.task}: {result.model}"
    save_pictures(attribution_figure(title, attribution, result.classes), path)


def attribution_figure(title: str, attribution: Attribution, classes: Sequence[str]) -> Figure:
    """Create a heat map of scores by source, a row per class and a column per source."""
    return class_heat(
        f"{title}, {attribution.clips:,} test clips",
        [(row, classes[row], attribution.support[row]) for row in ordered_classes(attribution)],
        {source.name: source.classes for source in attribution.sources},
        f"{find_metric(attribution.class_metric).title} of this source alone (0.5 is chance)",
    )


def class_heat(
    title: str,
    rows: Sequence[tuple[int, str, int]],
    columns: Mapping[str, Sequence[PairedScore | None]],
    label: str,
) -> Figure:
    """Create a heat map of class scores that is white at chance, 0.5.

    Args:
        title: Title of the figure.
        rows: Index, name and number of test clips of each class to show.
        columns: Scores of all classes, in label order, by name of the column.
        label: Label of the colour bar.
    """
    cells = [[scores[index] for scores in columns.values()] for index, _, _ in rows]
    return draw_heat(
        title,
        [f"{name} ({support:,})" for _, name, support in rows],
        list(columns),
        [[None if score is None else score.value for score in row] for row in cells],
        [
            ["" if score is None else f"{score.value:.2f}{score.arrow}" for score in row]
            for row in cells
        ],
        label,
    )
