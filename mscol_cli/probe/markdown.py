"""The result of a probe as Markdown: scores, classes, label budgets, corruptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mscol_cli.pages.markdown import listing, markdown_table, plain
from mscol_cli.probe.attribution import attribution_markdown
from mscol_cli.probe.result import (
    ClassScore,
    ProbeSummary,
    Score,
    ScoredSet,
    SharedGroups,
)

FEW = 12
EXTREMES = 5


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
        _corruption_table(summary),
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


def _corruption_table(summary: ProbeSummary) -> str:
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


def class_section(test_sets: Sequence[ScoredSet]) -> str:
    """Every class of every test set, or the best and the worst of many; and the confusions."""
    blocks = [
        block for one in test_sets for block in (_class_table(one), _confusion_table(one)) if block
    ]
    return "\n\n".join(blocks)


def shared_lines(groups: Sequence[SharedGroups]) -> list[str]:
    """One line for each kind of group that test and training clips may have in common."""
    return [
        f"{one.kind}: {one.shared:,} of {one.groups:,} among the test clips are among the training"
        f" clips too, in {one.shared_clips:,} of {one.clips:,} test clips"
        for one in groups
    ]


def _class_table(test_set: ScoredSet) -> str:
    if not test_set.classes:
        return ""
    title, shown = "Classes", list(test_set.classes)
    if len(shown) > FEW:
        scored = sorted(
            (one for one in shown if one.average_precision is not None),
            key=lambda one: -(one.average_precision or 0.0),
        )
        title = f"Best and worst {EXTREMES} of {len(scored)} classes by average precision"
        shown = [*scored[:EXTREMES], *scored[-EXTREMES:]]
    header = ("class", "test clips", "ROC-AUC", "average precision")
    table = markdown_table(header, [_class_row(one) for one in shown])
    return f"{title}, {test_set.name}:\n\n{table}"


def _class_row(one: ClassScore) -> tuple[str, ...]:
    values = (one.roc_auc, one.average_precision)
    shown = ("none" if value is None else f"{value:.4f}" for value in values)
    return one.name, str(one.support), *shown


def _confusion_table(test_set: ScoredSet) -> str:
    names = [one.name for one in test_set.classes]
    if not test_set.confusion or len(names) > FEW:
        return ""
    seeds = max(len(score.per_seed) for score in test_set.metrics.values())
    rows = [
        (name, *(f"{count / seeds:.1f}".removesuffix(".0") for count in counts))
        for name, counts in zip(names, test_set.confusion, strict=True)
    ]
    header = ("class, taken for", *names)
    return f"Confusions, {test_set.name}, clips, mean over seeds:\n\n{markdown_table(header, rows)}"
