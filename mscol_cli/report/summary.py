"""All models and all tasks in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mscol_cli.pages.page import Section, Table, Text
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.published import published_rows
from mscol_cli.probe.result import ScoredSet
from mscol_cli.report.material import Group, Material, score_of
from mscol_cli.report.scores import baseline_rows, cell, published

MOST_COLUMNS = 6
"""Scores that a page is wide enough for, even on paper."""
Column = tuple[Group, ScoredSet, str]


def summary_section(material: Material) -> Section:
    """A row per model, the headline scores of every group of results as columns, or the other way
    round where these are many; nothing where a single group has them all."""
    groups = material.groups
    columns = [(group, *column) for group in groups for column in group.headlines]
    if len(groups) < 2:
        return Section("Summary", ())
    header = ("model", *(_title(*column) for column in columns))
    models = dict.fromkeys(probe.model for probe in material.probes)
    rows = [_row(model, columns) for model in models]
    rows += baseline_rows([column[1:] for column in columns])
    theirs = [published(*column) for column in columns]
    rows += published_rows(theirs)
    table = [header, *rows]
    if len(columns) > MOST_COLUMNS:
        table = [*zip(*table, strict=True)]
        table[0] = ("score", *table[0][1:])
    caption = "Headline scores, each with its 95 % interval over test clips"
    note = Text("Published figures stand only beside test sets of the same size.")
    return Section(
        "Summary", [Table(caption, table[0], table[1:]), *([note] if any(theirs) else [])]
    )


def _title(group: Group, test_set: ScoredSet, metric: str) -> str:
    return f"{group.where(test_set)}: {find_metric(metric).label} ({test_set.clips:,} clips)"


def _row(model: str, columns: Sequence[Column]) -> tuple[str, ...]:
    return (model, *(_cell(model, *column) for column in columns))


def _cell(model: str, group: Group, test_set: ScoredSet, metric: str) -> str:
    by_model: Mapping[str, str] = {
        probe.model: cell(score_of(probe, test_set, metric), spread=False) for probe in group.probes
    }
    return by_model.get(model, "-")
