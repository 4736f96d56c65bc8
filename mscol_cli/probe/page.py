"""The page of a probe's result: scores, classes, label budgets, corruptions, scores by source."""

from __future__ import annotations

from collections.abc import Iterator

from mscol_cli.pages.page import Block, Page, Section, Table, Text, listing
from mscol_cli.probe.attribution import attribution_section
from mscol_cli.probe.groups import describe_drawn
from mscol_cli.probe.metrics import CLASS_ORDER, find_metric
from mscol_cli.probe.notes import PARTLY_MISSING, interval_notes, shared_lines
from mscol_cli.probe.result import ClassScore, ProbeResult, Score, ScoredSet
from mscol_cli.probe.saved_head import SavedHead

FEW = 12
EXTREMES = 5


def result_page(result: ProbeResult) -> Page:
    """Create a page of scores with intervals, counts, and clips that were left out."""
    sections = [Section("", list(_blocks(result)))]
    if result.attribution is not None:
        sections.append(attribution_section(result.attribution, result.classes))
    if result.head is not None:
        sections.append(Section("Saved classifier", list(_head_blocks(result.head))))
    return Page(f"{result.task}: {result.model}", _how(result), sections)


def _blocks(result: ProbeResult) -> Iterator[Block]:
    yield _score_table(result)
    yield from _budget_table(result)
    yield from _corruption_table(result)
    for test_set in result.test_sets:
        yield from class_blocks(test_set)
    yield _count_table(result)
    yield from listing("Shared groups", shared_lines(result.shared_groups))
    yield from listing("Notes", [*result.notes, *interval_notes(result.test_sets)])
    for test_set in result.test_sets:
        title = "Left out of macro averages, without positives or negatives in"
        yield from listing(f"{title} {test_set.title}", test_set.unscored)
    yield from listing("Audio missing", result.missing)
    unusable = [f"{name}: {reason}" for name, reason in result.failures]
    yield from listing("Audio not usable", unusable)
    short = [f"{name}: {reason}" for name, reason in result.shortfalls.items()]
    yield from listing(PARTLY_MISSING.capitalize(), short)


def _score_table(result: ProbeResult) -> Table:
    over = describe_drawn(result.test_sets[0].grouped_by)
    header = ("test set", "metric", "score", f"95 % interval over {over}", "std over seeds")
    rows = [
        row
        for test_set in result.test_sets
        for row in (*_score_rows(test_set), *_baseline_rows(test_set))
    ]
    return Table("", header, rows)


def _score_rows(test_set: ScoredSet) -> Iterator[tuple[str, ...]]:
    for name, score in test_set.metrics.items():
        yield test_set.title, name, *_format(score)


def _baseline_rows(test_set: ScoredSet) -> Iterator[tuple[str, ...]]:
    for baseline, values in test_set.baselines.items():
        for name, value in values.items():
            yield f"{test_set.title}: {baseline}", name, f"{value:.4f}", "", ""


def _budget_table(result: ProbeResult) -> Iterator[Table]:
    header = ("labelled clips", "share", "test set", "metric", "score", "95 % interval", "std")
    rows = [
        (f"{budget.clips:,.0f}", f"{budget.fraction:g}", test_set.name, name, *_format(score))
        for budget in result.label_budgets
        for test_set in budget.test_sets
        for name, score in test_set.metrics.items()
    ]
    if rows:
        yield Table("", header, rows)


def _corruption_table(result: ProbeResult) -> Iterator[Table]:
    header = ("test clips with", "test set", "metric", "score", "drop", "95 % interval", "p")
    rows = [
        (
            corrupted.deformation,
            corrupted.test_set,
            corrupted.metric,
            f"{corrupted.score.value:.4f}",
            f"{corrupted.loss:+.4f}",
            f"{corrupted.low:+.4f} to {corrupted.high:+.4f}",
            f"{corrupted.p:.3f}",
        )
        for corrupted in result.deformed
    ]
    if rows:
        yield Table("", header, rows)


def _head_blocks(head: SavedHead) -> Iterator[Block]:
    described = head.describe()
    yield Text(f"{described[0].upper()}{described[1:]}.")
    header = ("calibrated score", "predictions", "mean score", "true")
    rows = [
        (
            f"{item.low:.1f} to {item.high:.1f}",
            f"{item.count:,}",
            f"{item.confidence:.4f}",
            f"{item.observed:.4f}",
        )
        for item in head.after.bins
    ]
    yield Table(f"Reliability on {head.test_set}:", header, rows)
    yield from listing(
        "Not calibrated, without positives or negatives in validation or not ranked by it",
        head.uncalibrated,
    )


def _format(score: Score) -> tuple[str, str, str]:
    spread = f"{score.std_over_seeds:.4f}" if len(score.per_seed) > 1 else "one seed"
    return f"{score.value:.4f}", f"{score.low:.4f} to {score.high:.4f}", spread


def _how(result: ProbeResult) -> str:
    if result.is_retrieval:
        return f"Store: {result.data}. No classifier: cosines of clip embeddings."
    recipe = f" Recipe: {result.recipe}." if result.recipe else ""
    chosen = ", ".join(f"{score:.4f}" for score in result.valid_scores)
    valid = f" Validation {result.protocol['select']}: {chosen}." if chosen else ""
    trained = f"Classifiers trained: {result.seeds}{_kind(result)}.{valid}"
    return f"Data: {result.data}. {trained}{recipe}"


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
    """Yield tables of the classes of a test set (the best and worst of many), and confusions."""
    if test_set.classes:
        yield from _class_table(test_set)
    if test_set.confusion and len(test_set.classes) <= FEW:
        yield from _confusion_table(test_set)


def _class_table(test_set: ScoredSet) -> Iterator[Block]:
    title = "Classes" if test_set.unit == "clips" else "Sources"
    shown = list(test_set.classes)
    if len(shown) > FEW:
        scored = sorted(
            (row for row in shown if row.scores.get(CLASS_ORDER.name) is not None),
            key=lambda row: CLASS_ORDER.rank(row.scores[CLASS_ORDER.name] or 0.0),
            reverse=True,
        )
        title = f"Best and worst {EXTREMES} of {len(scored)} classes by {CLASS_ORDER.title}"
        shown = [*scored[:EXTREMES], *scored[-EXTREMES:]]
    titles = [find_metric(name).title for name in test_set.classes[0].scores]
    kind = "class" if test_set.unit == "clips" else "source"
    header = (kind, f"test {test_set.unit}", *titles)
    yield Table(f"{title}, {test_set.name}:", header, [_class_row(row) for row in shown])


def _class_row(row: ClassScore) -> tuple[str, ...]:
    shown = ("none" if value is None else f"{value:.4f}" for value in row.scores.values())
    return row.name, str(row.support), *shown


def _confusion_table(test_set: ScoredSet) -> Iterator[Block]:
    names = [row.name for row in test_set.classes]
    seeds = max(len(score.per_seed) for score in test_set.metrics.values())
    rows = [
        (name, *(f"{count / seeds:.1f}".removesuffix(".0") for count in counts))
        for name, counts in zip(names, test_set.confusion, strict=True)
    ]
    caption = f"Confusions, {test_set.name}, clips, mean over seeds:"
    yield Table(caption, ("class, taken for", *names), rows)
