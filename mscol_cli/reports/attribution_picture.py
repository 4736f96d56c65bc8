"""The picture of scores by class and source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mscol_cli.reports.attribution import Attribution, ordered_classes, told_metric
from mscol_cli.reports.heat import draw_heat
from mscol_cli.reports.paired import PairedScore
from mscol_cli.reports.pictures import save_pictures
from mscol_cli.reports.results import ProbeSummary


def draw_attribution(summary: ProbeSummary, found: Attribution, path: Path) -> None:
    """A row a class, a column a source; PNG, PDF and SVG."""
    title = f"{summary.task}: {summary.model}"
    save_pictures(attribution_figure(title, found, summary.classes), path)


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
        f"{told_metric(found)} when only this is heard (0.5 is chance)",
        (0.5, 0.5),
    )


def _text(score: PairedScore | None) -> str:
    return "" if score is None else f"{score.value:.2f}{score.arrow}"
