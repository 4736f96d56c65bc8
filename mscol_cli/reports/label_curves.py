"""The picture of a probe's score against the number of labelled clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mscol_cli.reports.curves import Curve, Panel, draw_panels
from mscol_cli.reports.pictures import save_pictures
from mscol_cli.reports.tables import LabelBudget, ProbeSummary


def draw_label_curves(summary: ProbeSummary, path: Path) -> None:
    """One panel a metric, one curve a test set, with 95 % intervals; PNG, PDF and SVG."""
    budgets = summary.label_budgets
    panels = [
        Panel(
            title=f"{summary.task}: {summary.model}",
            x_label="labelled training clips",
            y_label=f"{metric} (95 % interval)",
            curves=[_curve(budgets, place, metric) for place in range(len(budgets[0].test_sets))],
        )
        for metric in budgets[0].test_sets[0].metrics
    ]
    figure = draw_panels(panels)
    clips = [budget.clips for budget in budgets]
    for axes in figure.axes:
        axes.set_xscale("log")
        axes.set_xticks(clips, labels=[f"{count:,.0f}" for count in clips])
        axes.set_xticks([], minor=True)
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
