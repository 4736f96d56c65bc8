"""What probes found: tables, points with intervals, differences between models."""

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
"""Differences of a table before the rest is folded away."""
INTRO = (
    "Shallow classifiers on the frozen encoder. Each score is the mean over seeds ± the standard"
    " deviation over seeds, in brackets its 95 % bootstrap interval over test clips. Only scores of"
    " one column compare."
)


def scores_section(material: Material) -> Section:
    """For each group of results: a table, pictures, and how far models differ."""
    blocks = [block for group in material.groups for block in _group(group, material)]
    return Section("Probe scores", [Text(INTRO), *blocks] if blocks else ())


def _group(group: Group, material: Material) -> Iterator[Block]:
    yield from _scores(group)
    yield Pictures([_picture(group, material, *column) for column in group.columns])
    yield from _differences(group)
    if group.probes[0].result.label_fractions:
        yield Text("The same classifiers with fewer labelled training clips:")
        yield Pictures([_label_picture(group, material, *column) for column in group.columns])
    yield from _deformed(group)
    notes = list(_notes(group))
    if notes:
        yield Listing(f"Notes on {group.name}", notes)


def _scores(group: Group) -> Iterator[Block]:
    header = ("model", *(group.column_title(*column) for column in group.columns), "seeds")
    ours = [
        (
            probe.model,
            *(cell(score_of(probe, *column)) for column in group.columns),
            str(probe.result.seeds),
        )
        for probe in group.probes
    ]
    figures = [published(group, *column) for column in group.columns]
    theirs = [(*row, "1") for row in published_rows(figures)]
    rows = [*ours, *((*row, "-") for row in baseline_rows(group.columns)), *theirs]
    yield Table(f"{group.name}: {_protocol(group.probes[0].result)}", header, rows)
    if line := sources_line(figures):
        yield Text(line)


def published(group: Group, one: ScoredSet, metric: str) -> dict[str, Published]:
    """By framework, what was published of a test set of this size."""
    return published_scores(group.probes[0].result.task, one.name, one.clips, metric)


def baseline_rows(columns: Sequence[tuple[ScoredSet, str]]) -> list[tuple[str, ...]]:
    """A row for each classifier that does not listen, a cell for each test set and metric."""
    values = [
        {
            name: by_metric[metric]
            for name, by_metric in one.baselines.items()
            if metric in by_metric
        }
        for one, metric in columns
    ]
    return rows_by_name(values, ".3f")


def cell(score: Score | None, *, spread: bool = True) -> str:
    """A score with its interval, and with its spread over seeds if wanted."""
    if score is None:
        return "-"
    over_seeds = f" ± {score.std_over_seeds:.3f}" if spread and len(score.per_seed) > 1 else ""
    parts = f"{score.value:.3f}{over_seeds}", f"[{score.low:.3f}, {score.high:.3f}]"
    # A narrow column breaks between the two, not within.
    return " ".join(part.replace(" ", NO_BREAK) for part in parts)


def _protocol(result: ProbeResult) -> str:
    hidden = result.protocol.get("hidden")
    classifier = f"{hidden} hidden units" if hidden else "linear classifier"
    clips = ", ".join(f"{count:,} {split}" for split, count in result.counts.items())
    return f"{classifier}; clips: {clips}"


def _differences(group: Group) -> Iterator[Block]:
    """Every pair of models in every headline column, on the same test clips."""
    table = group.table
    rows = [_difference(group, one) for one in table.comparisons if one.column.headline]
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


def _difference(group: Group, one: Comparison) -> tuple[str, ...]:
    tested = next(tried for tried in group.test_sets if tried.name == one.column.test_set)
    return (
        f"{one.first} minus {one.second}",
        group.column_title(tested, one.column.metric),
        f"{one.difference:+.3f}",
        f"[{one.low:+.3f}, {one.high:+.3f}]".replace(" ", NO_BREAK),
        f"{one.p:.3f}",
        f"{one.p_holm:.3f}",
    )


def _deformed(group: Group) -> Iterator[Block]:
    """What scores lose on deformed test clips."""
    rows = [
        (f"{one.deformation}, {probe.model}", *_loss(one))
        for probe in group.probes
        for one in probe.result.deformed
    ]
    if rows:
        caption = (
            f"{group.name}: what scores lose on deformed test clips, the classifiers trained on"
            " clean ones; interval and p of the loss on the same clips"
        )
        header = ("deformation, model", "metric", "score", "loss", "95 % interval of the loss", "p")
        yield Table(caption, header, rows)


def _loss(one: CorruptedScore) -> Sequence[str]:
    interval = f"[{one.low:+.3f}, {one.high:+.3f}]".replace(" ", NO_BREAK)
    metric = find_metric(one.metric).label
    where = metric if one.test_set == "test" else f"{one.test_set}, {metric}"
    return where, cell(one.score), f"{one.loss:+.3f}", interval, f"{one.p:.3f}"


def _picture(group: Group, material: Material, tested: ScoredSet, metric: str) -> Picture:
    points = [
        _point(probe, score, material)
        for probe in group.probes
        if (score := score_of(probe, tested, metric)) is not None
    ]
    label, where = find_metric(metric).label, group.where(tested)
    told = "; ".join(
        f"{one.label} {one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in points
    )
    alt = f"{label} on {where}, a row per model: {told}."
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
    log_ticks(figure.axes[0], [place for curve in curves for place in curve.x])
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
        one.metrics[metric]
        for budget in budgets
        for one in budget.test_sets
        if one.name == tested.name
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
    """Each note once, under the models it is about unless these are all."""
    for note in collect_notes((probe.model, probe.result) for probe in group.probes):
        all_models = len(note.models) == len(group.probes)
        yield note.note if all_models else f"{', '.join(note.models)}: {note.note}"
