"""Section with all models and tasks in one table."""

from __future__ import annotations

from mscol_cli.pages.page import Section, Table, Text
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.published import published_rows
from mscol_cli.probe.result import ScoredSet
from mscol_cli.report.material import Group, Material, score_of
from mscol_cli.report.scores import baseline_rows, cell, published

MAX_COLUMNS = 6
"""Columns of scores that fit on a page, even on paper."""


def summary_section(material: Material) -> Section:
    """Create a section with a row per model and the headline scores as columns.

    Rows and columns are swapped if there are many scores. A single group has no summary.
    """
    groups = material.groups
    columns = [(group, *column) for group in groups for column in group.headlines]
    if len(groups) < 2:
        return Section("Summary", ())
    header = ("model", *(_title(*column) for column in columns))
    models = dict.fromkeys(probe.model for probe in material.probes)
    rows = [(model, *(_cell(model, *column) for column in columns)) for model in models]
    rows += baseline_rows([column[1:] for column in columns])
    papers = [published(*column) for column in columns]
    rows += published_rows(papers)
    table = [header, *rows]
    if len(columns) > MAX_COLUMNS:
        table = [*zip(*table, strict=True)]
        table[0] = ("score", *table[0][1:])
    caption = "Headline scores with 95 % intervals over test clips, or over groups that are named"
    note = Text("Published figures are shown only for test sets of the same size.")
    return Section(
        "Summary", [Table(caption, table[0], table[1:]), *([note] if any(papers) else [])]
    )


def _title(group: Group, test_set: ScoredSet, metric: str) -> str:
    return f"{group.where(test_set)}: {find_metric(metric).label} ({test_set.size})"


def _cell(model: str, group: Group, test_set: ScoredSet, metric: str) -> str:
    scores = {probe.model: score_of(probe, test_set, metric) for probe in group.probes}
    return cell(scores.get(model), spread=False)
