"""Plots of a probe: score by number of labels, and by source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mscol_cli.pages.curves import Curve, Panel, draw_panels, log_ticks
from mscol_cli.pages.heat import draw_heat
from mscol_cli.pages.pictures import save_pictures
from mscol_cli.probe.attribution import ordered_classes
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.result import Attribution, LabelBudget, PairedScore, ProbeResult


def draw_label_curves(result: ProbeResult, path: Path) -> None:
    """One panel a metric, one curve a test set, with 95 % intervals; PNG, PDF and SVG."""
    budgets = result.label_budgets
    panels = [
        Panel(
            title=f"{result.task}: {result.model}",
            x_label="labelled training clips",
            y_label=f"{metric} (95 % interval)",
            curves=[_curve(budgets, place, metric) for place in range(len(budgets[0].test_sets))],
        )
        for metric in budgets[0].test_sets[0].metrics
    ]
    figure = draw_panels(panels)
    for axes in figure.axes:
        log_ticks(axes, [budget.clips for budget in budgets])
    save_pictures(figure, path)


def _curve(budgets: Sequence[LabelBudget], place: int, metric: str) -> Curve:
    scores = [budget.test_sets[place].metrics[metric] for budget in budgets]
    return Curve(
        label=f"{budgets[0].test_sets[place].name} clips",
        x=[budget.clips for budget in budgets],
        y=[score.value for score in scores],
        low=[score.low for score in scores],
        high=[score.high for score in scores],
        style=place,
    )


def draw_attribution(result: ProbeResult, found: Attribution, path: Path) -> None:
    """A row a class, a column a source; PNG, PDF and SVG."""
    title = f"{result.task}: {result.model}"
    save_pictures(attribution_figure(title, found, result.classes), path)


def attribution_figure(title: str, found: Attribution, classes: Sequence[str]) -> Figure:
    """The same as a figure."""
    order = ordered_classes(found)
    scores = [[one.classes[row] for one in found.sources] for row in order]
    return draw_heat(
        f"{title}, {found.clips:,} test clips",
        [f"{classes[row]} ({found.support[row]:,})" for row in order],
        [one.name for one in found.sources],
        [[None if one is None else one.value for one in row] for row in scores],
        [[_text(one) for one in row] for row in scores],
        f"{find_metric(found.class_metric).title} when only this is heard (0.5 is chance)",
        (0.5, 0.5),
    )


def _text(score: PairedScore | None) -> str:
    return "" if score is None else f"{score.value:.2f}{score.arrow}"
