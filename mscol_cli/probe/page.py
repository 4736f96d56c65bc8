"""The page of a probe's result: scores, classes, label budgets, corruptions, scores by source."""

from __future__ import annotations

from collections.abc import Iterator

from mscol_cli.pages.page import Block, Page, Section, Table, listing
from mscol_cli.probe.attribution import attribution_section
from mscol_cli.probe.metrics import CLASS_ORDER, find_metric
from mscol_cli.probe.notes import shared_lines
from mscol_cli.probe.result import ClassScore, ProbeResult, Score, ScoredSet

FEW = 12
EXTREMES = 5


def result_page(result: ProbeResult) -> Page:
    """The scores with their intervals, the counts, and what was left out."""
    sections = [Section("", list(_blocks(result)))]
    if result.attribution is not None:
        sections.append(attribution_section(result.attribution, result.classes))
    return Page(f"{result.task}: {result.model}", _how(result), sections)


def _blocks(result: ProbeResult) -> Iterator[Block]:
    yield _score_table(result)
    yield from _budget_table(result)
    yield from _corruption_table(result)
    for one in result.test_sets:
        yield from class_blocks(one)
    yield _count_table(result)
    yield from listing("In common", shared_lines(result.shared_groups))
    yield from listing("Notes", result.notes)
    for one in result.test_sets:
        yield from listing(f"In no macro average, one-sided in {one.title}", one.unscored)
    yield from listing("Audio missing", result.missing)
    unusable = [f"{name}: {reason}" for name, reason in result.failures]
    yield from listing("Audio not usable", unusable)


def _score_table(result: ProbeResult) -> Table:
    header = ("test set", "metric", "score", "95 % interval over clips", "std over seeds")
    rows = [row for one in result.test_sets for row in (*_score_rows(one), *_baseline_rows(one))]
    return Table("", header, rows)


def _score_rows(one: ScoredSet) -> Iterator[tuple[str, ...]]:
    for name, score in one.metrics.items():
        yield one.title, name, *_format(score)


def _baseline_rows(one: ScoredSet) -> Iterator[tuple[str, ...]]:
    for baseline, values in one.baselines.items():
        for name, value in values.items():
            yield f"{one.title}: {baseline}", name, f"{value:.4f}", "", ""


def _budget_table(result: ProbeResult) -> Iterator[Table]:
    header = ("labelled clips", "share", "test set", "metric", "score", "95 % interval", "std")
    rows = [
        (f"{budget.clips:,.0f}", f"{budget.fraction:g}", one.name, name, *_format(score))
        for budget in result.label_budgets
        for one in budget.test_sets
        for name, score in one.metrics.items()
    ]
    if rows:
        yield Table("", header, rows)


def _corruption_table(result: ProbeResult) -> Iterator[Table]:
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
        for one in result.deformed
    ]
    if rows:
        yield Table("", header, rows)


def _format(score: Score) -> tuple[str, str, str]:
    spread = f"{score.std_over_seeds:.4f}" if len(score.per_seed) > 1 else "one seed"
    return f"{score.value:.4f}", f"{score.low:.4f} to {score.high:.4f}", spread


def _how(result: ProbeResult) -> str:
    recipe = f" Recipe: {result.recipe}." if result.recipe else ""
    return f"Data: {result.data}. Classifiers trained: {result.seeds}{_kind(result)}.{recipe}"


def _kind(result: ProbeResult) -> str:
    if not result.weight_decays:
        return ""
    chosen = ", ".join(dict.fromkeys(f"{value:g}" for value in result.weight_decays))
    return f" ({result.protocol['classifier']}, weight decay {chosen}, chosen on validation)"


def _count_table(result: ProbeResult) -> Table:
    rows = [
        (split, str(count), str(result.windows[split])) for split, count in result.counts.items()
    ]
    return Table("", ("split", "clips", "windows"), rows)


def class_blocks(test_set: ScoredSet) -> Iterator[Block]:
    """Every class of a test set, or the best and the worst of many; and the confusions."""
    if test_set.classes:
        yield from _class_table(test_set)
    if test_set.confusion and len(test_set.classes) <= FEW:
        yield from _confusion_table(test_set)


def _class_table(test_set: ScoredSet) -> Iterator[Block]:
    title, shown = "Classes", list(test_set.classes)
    if len(shown) > FEW:
        scored = sorted(
            (one for one in shown if one.score(CLASS_ORDER.name) is not None),
            key=lambda one: CLASS_ORDER.rank(one.score(CLASS_ORDER.name) or 0.0),
            reverse=True,
        )
        title = f"Best and worst {EXTREMES} of {len(scored)} classes by {CLASS_ORDER.title}"
        shown = [*scored[:EXTREMES], *scored[-EXTREMES:]]
    titles = [find_metric(name).title for name in test_set.classes[0].scores]
    header = ("class", "test clips", *titles)
    yield Table(f"{title}, {test_set.name}:", header, [_class_row(one) for one in shown])


def _class_row(one: ClassScore) -> tuple[str, ...]:
    shown = ("none" if value is None else f"{value:.4f}" for value in one.scores.values())
    return one.name, str(one.support), *shown


def _confusion_table(test_set: ScoredSet) -> Iterator[Block]:
    names = [one.name for one in test_set.classes]
    seeds = max(len(score.per_seed) for score in test_set.metrics.values())
    rows = [
        (name, *(f"{count / seeds:.1f}".removesuffix(".0") for count in counts))
        for name, counts in zip(names, test_set.confusion, strict=True)
    ]
    caption = f"Confusions, {test_set.name}, clips, mean over seeds:"
    yield Table(caption, ("class, taken for", *names), rows)
