"""Which classes a probe tells apart, and what it takes them for."""

from __future__ import annotations

from collections.abc import Sequence

from mscol_cli.reports.markdown import markdown_table
from mscol_cli.reports.results import ClassScore, ScoredSet, SharedGroups, StemScores

FEW = 12
EXTREMES = 5


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


def stem_section(stems: Sequence[StemScores]) -> str:
    """Average precision by class and source, the headline test set."""
    if not stems:
        return ""
    sets = [one.test_sets[0] for one in stems]
    header = ("class", "test clips", "whole clip", *(f"{one.source} alone" for one in stems[1:]))
    rows = [
        (scores[0].name, str(scores[0].support), *(_value(one.average_precision) for one in scores))
        for scores in zip(*(one.classes for one in sets), strict=True)
    ]
    table = markdown_table(header, rows)
    silent = ", ".join(f"{one.source} {one.silent:,}" for one in stems[1:])
    clips = f"{sets[0].name}, {sets[0].clips:,} clips with stems"
    return f"Average precision by class and source, {clips} (of which silent: {silent}):\n\n{table}"


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


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
    return one.name, str(one.support), _value(one.roc_auc), _value(one.average_precision)


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
