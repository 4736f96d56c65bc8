"""The result of a probe as a table people read and a dictionary programs read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mscol_cli.reports.attribution import attribution_markdown
from mscol_cli.reports.classes import class_section, shared_lines
from mscol_cli.reports.markdown import listing, markdown_table, plain
from mscol_cli.reports.results import (
    ClassScore,
    DeformedScore,
    LabelBudget,
    ProbeResult,
    ProbeSummary,
    Score,
    ScoredSet,
    SharedGroups,
)

__all__ = [
    "ClassScore",
    "DeformedScore",
    "LabelBudget",
    "ProbeResult",
    "ProbeSummary",
    "Score",
    "ScoredSet",
    "SharedGroups",
    "markdown_table",
    "summary_dict",
    "summary_markdown",
]


def summary_dict(summary: ProbeSummary) -> dict[str, Any]:
    """Everything, in types that JSON has."""
    return {name: _plain(value) for name, value in asdict(summary).items()}


def summary_markdown(summary: ProbeSummary) -> str:
    """A page: the scores with their intervals, the counts, and what was left out."""
    blocks = [
        f"# {plain(f'{summary.task}: {summary.model}')}",
        _how(summary),
        _score_table(summary),
        _budget_table(summary),
        _deformed_table(summary),
        class_section(summary.test_sets),
        _count_table(summary),
        listing("In common", shared_lines(summary.shared_groups)),
        listing("Notes", summary.notes),
        *(
            listing(f"In no macro average, one-sided in {_set(one)}", one.unscored)
            for one in summary.test_sets
        ),
        listing("Audio missing", summary.missing),
        listing("Audio not usable", [f"{name}: {reason}" for name, reason in summary.failures]),
        attribution_markdown(summary.attribution, summary.classes) if summary.attribution else "",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _score_table(summary: ProbeSummary) -> str:
    header = ("test set", "metric", "score", "95 % interval over clips", "std over seeds")
    rows = [row for one in summary.test_sets for row in (*_score_rows(one), *_baseline_rows(one))]
    return markdown_table(header, rows)


def _score_rows(one: ScoredSet) -> list[tuple[str, ...]]:
    return [
        (
            _set(one),
            name,
            f"{score.value:.4f}",
            f"{score.low:.4f} to {score.high:.4f}",
            _spread(score),
        )
        for name, score in one.metrics.items()
    ]


def _baseline_rows(one: ScoredSet) -> list[tuple[str, ...]]:
    return [
        (f"{_set(one)}: {baseline}", name, f"{value:.4f}", "", "")
        for baseline, values in one.baselines.items()
        for name, value in values.items()
    ]


def _budget_table(summary: ProbeSummary) -> str:
    header = ("labelled clips", "share", "test set", "metric", "score", "95 % interval", "std")
    rows = [
        (
            f"{budget.clips:,.0f}",
            f"{budget.fraction:g}",
            one.name,
            name,
            f"{score.value:.4f}",
            f"{score.low:.4f} to {score.high:.4f}",
            _spread(score),
        )
        for budget in summary.label_budgets
        for one in budget.test_sets
        for name, score in one.metrics.items()
    ]
    return markdown_table(header, rows) if rows else ""


def _deformed_table(summary: ProbeSummary) -> str:
    header = ("test clips with", "test set", "metric", "score", "lost", "95 % interval", "p")
    rows = [
        (
            one.deformation,
            one.test_set,
            one.metric,
            f"{one.score.value:.4f}",
            f"{one.loss:+.4f}",
            f"{one.low:+.4f} to {one.high:+.4f}",
            f"{one.p:.3f}",
        )
        for one in summary.deformed
    ]
    return markdown_table(header, rows) if rows else ""


def _set(test_set: ScoredSet) -> str:
    return f"{test_set.name} ({test_set.clips:,} clips)"


def _spread(score: Score) -> str:
    return f"{score.std_over_seeds:.4f}" if len(score.per_seed) > 1 else "one seed"


def _how(summary: ProbeSummary) -> str:
    trained = f"Classifiers trained: {summary.seeds}{_kind(summary)}."
    return f"Data: `{summary.data}`. {trained}{_recipe(summary)}"


def _kind(summary: ProbeSummary) -> str:
    if not summary.weight_decays:
        return ""
    chosen = ", ".join(dict.fromkeys(f"{value:g}" for value in summary.weight_decays))
    return f" ({summary.protocol['classifier']}, weight decay {chosen}, chosen on validation)"


def _recipe(summary: ProbeSummary) -> str:
    return f" Recipe: `{summary.recipe}`." if summary.recipe else ""


def _count_table(summary: ProbeSummary) -> str:
    rows = [
        (split, str(count), str(summary.windows[split])) for split, count in summary.counts.items()
    ]
    return markdown_table(("split", "clips", "windows"), rows)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
