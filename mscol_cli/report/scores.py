"""Section of probe scores: tables, points with intervals, differences between models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mscol_cli.pages.curves import Curve, Panel, draw_panels, log_ticks
from mscol_cli.pages.page import (
    Block,
    Listing,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    rows_by_name,
)
from mscol_cli.pages.pictures import picture
from mscol_cli.pages.points import Point, draw_points
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.notes import collect_notes
from mscol_cli.probe.published import Published, published_rows, published_scores, sources_line
from mscol_cli.probe.result import CorruptedScore, ProbeResult, Score, ScoredSet
from mscol_cli.probe.table import Comparison
from mscol_cli.report.material import NO_BREAK, FoundProbe, Group, Material, file_name, score_of

SHOWN = 10
"""Rows of a table of differences that are not folded."""
INTRO = (
    "Shallow classifiers on the frozen encoder. Each score is mean ± standard deviation over seeds;"
    " in brackets, the 95 % bootstrap interval over test clips, or over the groups of clips that a"
    " column names. Scores compare within a column."
)


def scores_section(material: Material) -> Section:
    """Create a section with a table, pictures and differences for each group of results."""
    blocks = [block for group in material.groups for block in _group(group, material)]
    return Section("Probe scores", [Text(INTRO), *blocks] if blocks else ())


def _group(group: Group, material: Material) -> Iterator[Block]:
    yield from _scores(group)
    yield Pictures([_picture(group, material, *column) for column in group.columns])
    yield from _differences(group)
    if group.probes[0].result.label_fractions:
        yield Text("The same classifiers with fewer labelled training clips:")
        yield Pictures([_label_picture(group, material, *column) for column in group.columns])
    yield from _corrupted(group)
    notes = list(_notes(group))
    if notes:
        yield Listing(f"Notes on {group.name}", notes)


def _scores(group: Group) -> Iterator[Block]:
    header = ("model", *(group.column_title(*column) for column in group.columns), "seeds")
    models = [
        (
            probe.model,
            *(cell(score_of(probe, *column)) for column in group.columns),
            str(probe.result.seeds or "-"),
        )
        for probe in group.probes
    ]
    figures = [published(group, *column) for column in group.columns]
    papers = [(*row, "1") for row in published_rows(figures)]
    rows = [*models, *((*row, "-") for row in baseline_rows(group.columns)), *papers]
    yield Table(f"{group.name}: {_protocol(group.probes[0].result)}", header, rows)
    if line := sources_line(figures):
        yield Text(line)


def published(group: Group, tested: ScoredSet, metric: str) -> dict[str, Published]:
    """Published scores on a test set of this size, by framework."""
    return published_scores(group.probes[0].result.task, tested.name, tested.clips, metric)


def baseline_rows(columns: Sequence[tuple[ScoredSet, str]]) -> list[tuple[str, ...]]:
    """Table rows of trivial classifiers, a cell for each test set and metric."""
    values = [
        {name: row[metric] for name, row in tested.baselines.items() if metric in row}
        for tested, metric in columns
    ]
    return rows_by_name(values, ".3f")


def cell(score: Score | None, *, spread: bool = True) -> str:
    """Format a score with its interval and, optionally, its spread over seeds."""
    if score is None:
        return "-"
    over_seeds = f" ± {score.std_over_seeds:.3f}" if spread and len(score.per_seed) > 1 else ""
    parts = f"{score.value:.3f}{over_seeds}", f"[{score.low:.3f}, {score.high:.3f}]"
    # A narrow column may break only between the two parts.
    return " ".join(part.replace(" ", NO_BREAK) for part in parts)


def _protocol(result: ProbeResult) -> str:
    if result.is_retrieval:
        return f"cosines of clip embeddings; {result.counts['test']:,} queries"
    hidden = result.protocol.get("hidden")
    classifier = f"{hidden} hidden units" if hidden else "linear classifier"
    clips = ", ".join(f"{count:,} {split}" for split, count in result.counts.items())
    return f"{classifier}; clips: {clips}"


def _differences(group: Group) -> Iterator[Block]:
    table = group.table
    rows = [_difference(group, pair) for pair in table.comparisons if pair.column.headline]
    if rows:
        header = ("models", "score", "difference", "95 % interval", "p", "p, Holm")
        caption = (
            f"{group.name}: differences on the same test clips, by paired bootstrap; the last"
            " column is corrected for the number of pairs"
        )
        yield Table(caption, header, rows, shown=SHOWN)
    if table.failures:
        reasons = dict.fromkeys(reason for _, reason in table.failures)
        yield Listing(f"{group.name}: why some models are not compared", list(reasons))


def _difference(group: Group, pair: Comparison) -> tuple[str, ...]:
    tested = next(item for item in group.test_sets if item.name == pair.column.test_set)
    return (
        f"{pair.first} minus {pair.second}",
        group.column_title(tested, pair.column.metric),
        f"{pair.difference:+.3f}",
        f"[{pair.low:+.3f}, {pair.high:+.3f}]".replace(" ", NO_BREAK),
        f"{pair.p:.3f}",
        f"{pair.p_holm:.3f}",
    )


def _corrupted(group: Group) -> Iterator[Block]:
    rows = [
        (f"{score.deformation}, {probe.model}", *_loss(score))
        for probe in group.probes
        for score in probe.result.deformed
    ]
    if rows:
        caption = (
            f"{group.name}: loss on corrupted test clips, of classifiers trained on clean clips;"
            " interval and p-value on the same clips"
        )
        header = ("corruption, model", "metric", "score", "loss", "95 % interval of the loss", "p")
        yield Table(caption, header, rows)


def _loss(score: CorruptedScore) -> Sequence[str]:
    interval = f"[{score.low:+.3f}, {score.high:+.3f}]".replace(" ", NO_BREAK)
    metric = find_metric(score.metric).label
    where = metric if score.test_set == "test" else f"{score.test_set}, {metric}"
    return where, cell(score.score), f"{score.loss:+.3f}", interval, f"{score.p:.3f}"


def _picture(group: Group, material: Material, tested: ScoredSet, metric: str) -> Picture:
    points = [
        _point(probe, score, material)
        for probe in group.probes
        if (score := score_of(probe, tested, metric)) is not None
    ]
    label, where = find_metric(metric).label, group.where(tested)
    scores = "; ".join(
        f"{point.label} {point.value:.3f} ({point.low:.3f} to {point.high:.3f})" for point in points
    )
    alt = f"{label} on {where}, a row per model: {scores}."
    figure = draw_points(where, f"{label} (95 % interval)", points)
    return picture(file_name("scores", group.name, tested.name, metric), alt, figure)


def _point(probe: FoundProbe, score: Score, material: Material) -> Point:
    style = material.style(probe.run)
    return Point(probe.model, score.value, score.low, score.high, score.per_seed, style)


def _label_picture(group: Group, material: Material, tested: ScoredSet, metric: str) -> Picture:
    curves = [_label_curve(probe, material, tested, metric) for probe in group.probes]
    label, where = find_metric(metric).label, group.where(tested)
    figure = draw_panels(
        [Panel(where, "labelled training clips", f"{label} (95 % interval)", curves)]
    )
    log_ticks(figure.axes[0], [x for curve in curves for x in curve.x])
    ends = "; ".join(
        f"{curve.label} from {curve.y[0]:.3f} with {curve.x[0]:,.0f} clips to {curve.y[-1]:.3f}"
        f" with {curve.x[-1]:,.0f}"
        for curve in curves
    )
    alt = f"{label} on {where} over the number of labelled training clips: {ends}."
    return picture(file_name("labels", group.name, tested.name, metric), alt, figure)


def _label_curve(probe: FoundProbe, material: Material, tested: ScoredSet, metric: str) -> Curve:
    budgets = sorted(probe.result.label_budgets, key=lambda budget: budget.clips)
    scores = [
        test_set.metrics[metric]
        for budget in budgets
        for test_set in budget.test_sets
        if test_set.name == tested.name
    ]
    return Curve(
        label=probe.model,
        x=[budget.clips for budget in budgets],
        y=[score.value for score in scores],
        low=[score.low for score in scores],
        high=[score.high for score in scores],
        style=material.style(probe.run),
    )


def _notes(group: Group) -> Iterator[str]:
    """Yield each note once, with its models unless these are all."""
    for note in collect_notes((probe.model, probe.result) for probe in group.probes):
        all_models = len(note.models) == len(group.probes)
        yield note.note if all_models else f"{', '.join(note.models)}: {note.note}"
