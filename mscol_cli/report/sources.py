"""Section on runs that were trained on different sources, with scores per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.contracts.cards import ObjectiveCard
from mscol_cli.contracts.plans import IntArray
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.pages.page import Block, Listing, Picture, Pictures, Section, Table, Text
from mscol_cli.pages.pictures import picture
from mscol_cli.probe.attributed import HIGHER, LOWER, PairedScore
from mscol_cli.probe.groups import MIN_CLIPS
from mscol_cli.probe.metrics import PAIRED, find_metric
from mscol_cli.probe.paired import PairedColumn, score_columns
from mscol_cli.probe.plots import class_heat
from mscol_cli.probe.result import ScoredSet
from mscol_cli.probe.scores import ClipScores, common_groups, read_scores
from mscol_cli.probe.windows import BoolArray, FloatArray
from mscol_cli.report.material import NO_BREAK, FoundProbe, FoundRun, Group, Material, file_name

HEADING = "Scores by training source"
ALL = "all sources"
SHOWN = 10
"""Rows of a table of classes that are not folded."""
INTRO = (
    "Models that were pre-trained on different sources, on the first test set of each task."
    f" {LOWER} and {HIGHER} mark scores that differ from the model trained on all sources: the 95 %"
    " interval of the difference, on the same resampled test clips, excludes 0. Intervals cover the"
    " variation of test clips, not of training runs, and are not corrected for the number of cells."
    f" A class with fewer than {MIN_CLIPS} positive or negative clips, or groups of clips where"
    " these are drawn, has no interval."
)


@dataclass(frozen=True)
class BySource:
    """Scores of models on their common test clips.

    Attributes:
        columns: Scores by training source, all sources first.
        classes: Names of the classes, in label order.
        support: Number of clips of each class.
        clips: Number of clips.
    """

    columns: Mapping[str, PairedColumn]
    classes: Sequence[str]
    support: Sequence[int]
    clips: int

    @property
    def rows(self) -> list[int]:
        """Labels of the classes with scores, by the score of the first model, best first."""
        first = next(iter(self.columns.values())).classes
        scored = [(-score.value, label) for label, score in enumerate(first) if score is not None]
        return [label for _, label in sorted(scored)]


def sources_section(material: Material) -> Section:
    """Create a section of tables and pictures for each group of runs with different sources."""
    blocks: list[Block] = []
    for group in material.groups:
        models = trained_on(group)
        if len(models) > 1 and not group.probes[0].result.is_retrieval:
            blocks += _group(group, models)
    return Section(HEADING, [Text(INTRO), *blocks] if blocks else ())


def trained_on(group: Group) -> dict[str, FoundProbe]:
    """One result for each choice of training sources, all sources first."""
    models: dict[str, FoundProbe] = {}
    for probe in group.probes:
        sources = None if probe.run is None else stems_of(probe.run)
        if sources is not None:
            models.setdefault(" + ".join(sources) or ALL, probe)
    return dict(sorted(models.items(), key=lambda item: item[0] != ALL))


def stems_of(run: FoundRun) -> tuple[str, ...] | None:
    """Sources that a run's objective was limited to, empty for all sources; None if the card of
    the objective declares no such option."""
    declared = {
        entry.card.name: entry.card.sources_option
        for entry in load_registry().of_kind("objective")
        if isinstance(entry.card, ObjectiveCard)
    }
    for part in run.info.get("objective", {}).get("parts", ()):
        option = declared.get(part.get("name"))
        if option in part.get("options", {}):
            return tuple(sorted(part["options"][option]))
    return None


def _group(group: Group, models: Mapping[str, FoundProbe]) -> Iterator[Block]:
    tested = group.test_sets[0]
    try:
        scores = compare(models, tested)
    except MscolError as error:
        yield Listing(f"Not compared by training source: {group.name}", [str(error)])
        return
    where = group.where(tested)
    names = "; ".join(f"{source}: {probe.model}" for source, probe in models.items())
    yield _overall_table(where, scores, names)
    yield _class_table(where, scores)
    yield Pictures([_picture(where, scores)])
    yield from _specialists(where, scores)


def compare(models: Mapping[str, FoundProbe], tested: ScoredSet) -> BySource:
    """Score models on the clips of a test set that all of them were tested on.

    Raises:
        MscolError: Clip scores are missing, damaged, or of different classes or clips.
    """
    models_scores = {name: read_scores(probe.result.scores_path) for name, probe in models.items()}
    scores, targets, groups = _aligned(models_scores, tested.name)
    reference = ALL if ALL in scores else None
    columns = score_columns(scores, targets, list(tested.metrics), reference, groups)
    classes = next(iter(models_scores.values())).classes
    return BySource(columns, classes, targets.sum(axis=0).tolist(), len(targets))


def _aligned(
    models: Mapping[str, ClipScores], test_set: str
) -> tuple[dict[str, FloatArray], BoolArray, IntArray | None]:
    by_clip = {name: model.rows_of(test_set) for name, model in models.items()}
    first = next(iter(models))
    common = [clip for clip in by_clip[first] if all(clip in rows for rows in by_clip.values())]
    rows = {name: [of_clip[clip] for clip in common] for name, of_clip in by_clip.items()}
    targets = models[first].targets[rows[first]]
    same = (
        list(model.classes) == list(models[first].classes)
        and np.array_equal(model.targets[rows[name]], targets)
        for name, model in models.items()
    )
    if not common or not all(same):
        raise UsageError("models were tested on other classes or clips: probe all on one data set.")
    scores = {name: model.scores[:, rows[name]] for name, model in models.items()}
    return scores, targets, common_groups((model, rows[name]) for name, model in models.items())


def _overall_table(where: str, scores: BySource, names: str) -> Table:
    metrics = list(next(iter(scores.columns.values())).overall)
    return Table(
        f"{where}: scores by training source ({names}); in parentheses, the difference from all"
        " sources with its 95 % interval",
        ("metric", *scores.columns),
        [
            (
                find_metric(metric).label,
                *(_format_score(column.overall[metric]) for column in scores.columns.values()),
            )
            for metric in metrics
        ],
    )


def _format_score(score: PairedScore) -> str:
    value = f"{score.value:.3f}{score.arrow}"
    if score.difference is None:
        return value
    bounds = f"[{score.difference_low:+.3f}, {score.difference_high:+.3f}]"
    parts = value, f"({score.difference:+.3f}", f"{bounds})"
    return " ".join(part.replace(" ", NO_BREAK) for part in parts)


def _class_table(where: str, scores: BySource) -> Table:
    return Table(
        f"{where}: {PAIRED.title} of each class against all others, by training source"
        " (0.5 is chance)",
        ("class", "test clips", *scores.columns),
        [
            (
                scores.classes[label],
                str(scores.support[label]),
                *(_cell(column.classes[label]) for column in scores.columns.values()),
            )
            for label in scores.rows
        ],
        shown=SHOWN,
    )


def _cell(score: PairedScore | None) -> str:
    return "-" if score is None else f"{score.value:.3f}{score.arrow}"


def _picture(where: str, scores: BySource) -> Picture:
    figure = class_heat(
        f"{where}, {scores.clips:,} test clips, by training source",
        [(label, scores.classes[label], scores.support[label]) for label in scores.rows],
        {name.replace(" ", "\n"): column.classes for name, column in scores.columns.items()},
        f"{PAIRED.title} (0.5 is chance)",
    )
    alt = (
        f"{PAIRED.title} on {where}, a row per class, a column per training source"
        f" ({', '.join(scores.columns)}); the table above has the numbers."
    )
    return picture(file_name("sources", where), alt, figure)


def _specialists(where: str, scores: BySource) -> Iterator[Block]:
    """Yield the classes in which each model differs from the model of all sources."""
    lines = [
        f"{source}: {_classes_of(scores, source, HIGHER, 'better')};"
        f" {_classes_of(scores, source, LOWER, 'worse')}"
        for source in scores.columns
        if source != ALL
    ]
    cells = [score for column in scores.columns.values() for score in column.classes if score]
    compared = [score for score in cells if score.is_compared]
    if compared:
        marked = sum(bool(score.arrow) for score in compared)
        chance = (
            f"{marked} of {len(compared)} differences are marked; about {0.05 * len(compared):.0f}"
            " are expected by chance"
        )
        yield Listing(f"{where}: classes that differ from all sources", [*lines, chance])


def _classes_of(scores: BySource, source: str, arrow: str, word: str) -> str:
    column = scores.columns[source].classes
    names = [
        scores.classes[label]
        for label in scores.rows
        if (score := column[label]) is not None and score.arrow == arrow
    ]
    return f"{word} at {', '.join(names) or 'none'}"
