"""Where runs that learned from different sources differ, class by class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mscol_cli.contracts.cards import ObjectiveCard
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.pages.heat import draw_heat
from mscol_cli.pages.page import Block, Listing, Picture, Pictures, Section, Table, Text
from mscol_cli.pages.pictures import picture
from mscol_cli.probe.metrics import PAIRED, find_metric
from mscol_cli.probe.paired import FEWEST, PairedColumn, score_columns
from mscol_cli.probe.result import HIGHER, LOWER, PairedScore, ScoredSet
from mscol_cli.probe.scores import ClipScores, read_scores
from mscol_cli.probe.windows import BoolArray, FloatArray
from mscol_cli.report.material import NO_BREAK, FoundProbe, Group, Material, file_name
from mscol_cli.runs.trained import FoundRun

HEADING = "Scores by training source"
ALL = "all sources"
SHOWN = 10
"""Classes of a table before the rest is folded away."""
INTRO = (
    "Models that were pre-trained on different sources, on the first test set of each task."
    f" {LOWER} and {HIGHER} mark scores that differ from the model trained on all sources: the 95 %"
    " interval of the difference, on the same drawn test clips, leaves out 0. Intervals are about"
    " the test clips alone, not about other training runs, and are not corrected for the number of"
    f" cells. A class has none where fewer than {FEWEST} clips are of it, or are not."
)


@dataclass(frozen=True)
class BySource:
    """Scores of models on the test clips that all of them were tested on.

    Attributes:
        columns: By training source, the model of all sources first.
        classes: Names, in label order.
        support: Clips of each.
        clips: How many there are.
    """

    columns: Mapping[str, PairedColumn]
    classes: Sequence[str]
    support: Sequence[int]
    clips: int

    @property
    def rows(self) -> list[int]:
        """Labels of the classes that have scores, those that the first model tells best first."""
        first = next(iter(self.columns.values())).classes
        scored = [(-score.value, label) for label, score in enumerate(first) if score is not None]
        return [label for _, label in sorted(scored)]


def sources_section(material: Material) -> Section:
    """Tables and pictures for each group of results; none unless runs differ in their sources."""
    blocks: list[Block] = []
    for group in material.groups:
        models = trained_on(group)
        if len(models) > 1:
            blocks += _group(group, models)
    return Section(HEADING, [Text(INTRO), *blocks] if blocks else ())


def trained_on(group: Group) -> dict[str, FoundProbe]:
    """One result for each choice of sources, all sources first; what has no sources is left out."""
    found: dict[str, FoundProbe] = {}
    for probe in group.probes:
        sources = None if probe.run is None else stems_of(probe.run)
        if sources is not None:
            found.setdefault(" + ".join(sources) or ALL, probe)
    return dict(sorted(found.items(), key=lambda item: item[0] != ALL))


def stems_of(run: FoundRun) -> tuple[str, ...] | None:
    """The sources that a run's objective was limited to, empty for all of them; None for an
    objective whose card declares no such option."""
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
        found = compare(models, tested)
    except MscolError as error:
        yield Listing(f"Not compared by training source: {group.name}", [str(error)])
        return
    where = group.where(tested)
    named = "; ".join(f"{source}: {probe.model}" for source, probe in models.items())
    yield _overall_table(where, found, named)
    yield _class_table(where, found)
    yield Pictures([_picture(where, found)])
    yield from _specialists(where, found)


def compare(models: Mapping[str, FoundProbe], tested: ScoredSet) -> BySource:
    """Score models on the clips of a test set that all of them were tested on.

    Raises:
        MscolError: Scores of clips are gone, damaged, or of other classes or clips.
    """
    kept = {source: read_scores(probe.result.scores_path) for source, probe in models.items()}
    scores, targets = _aligned(kept, tested.name)
    reference = ALL if ALL in kept else None
    columns = score_columns(scores, targets, list(tested.metrics), reference)
    classes = next(iter(kept.values())).classes
    return BySource(columns, classes, targets.sum(axis=0).tolist(), len(targets))


def _aligned(
    kept: Mapping[str, ClipScores], test_set: str
) -> tuple[dict[str, FloatArray], BoolArray]:
    rows = {source: one.rows_of(test_set) for source, one in kept.items()}
    first = next(iter(rows))
    common = [clip for clip in rows[first] if all(clip in other for other in rows.values())]
    own = {source: [found[clip] for clip in common] for source, found in rows.items()}
    targets = kept[first].targets[own[first]]
    same = (
        list(one.classes) == list(kept[first].classes)
        and np.array_equal(one.targets[own[source]], targets)
        for source, one in kept.items()
    )
    if not common or not all(same):
        raise UsageError("models were tested on other classes or clips: probe all on one data set.")
    return {source: one.scores[:, own[source]] for source, one in kept.items()}, targets


def _overall_table(where: str, found: BySource, named: str) -> Table:
    metrics = list(next(iter(found.columns.values())).overall)
    return Table(
        f"{where}: scores by training source ({named}); in brackets the difference from all sources"
        " with its 95 % interval",
        ("metric", *found.columns),
        [
            (
                find_metric(metric).label,
                *(_format_score(column.overall[metric]) for column in found.columns.values()),
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


def _class_table(where: str, found: BySource) -> Table:
    return Table(
        f"{where}: {PAIRED.title} of each class against all others, by training source"
        " (0.5 is chance)",
        ("class", "test clips", *found.columns),
        [
            (
                found.classes[label],
                str(found.support[label]),
                *(_cell(one.classes[label]) for one in found.columns.values()),
            )
            for label in found.rows
        ],
        shown=SHOWN,
    )


def _cell(score: PairedScore | None, digits: int = 3) -> str:
    return "-" if score is None else f"{score.value:.{digits}f}{score.arrow}"


def _picture(where: str, found: BySource) -> Picture:
    cells = [[one.classes[label] for one in found.columns.values()] for label in found.rows]
    figure = draw_heat(
        f"{where}, {found.clips:,} test clips, by training source",
        [f"{found.classes[label]} ({found.support[label]:,})" for label in found.rows],
        [source.replace(" ", "\n") for source in found.columns],
        [[None if one is None else one.value for one in row] for row in cells],
        [[_cell(one, 2) for one in row] for row in cells],
        f"{PAIRED.title} (0.5 is chance)",
        (0.5, 0.5),
    )
    alt = (
        f"{PAIRED.title} on {where}, a row per class, a column per training source"
        f" ({', '.join(found.columns)}); the table above has the numbers."
    )
    return picture(file_name("sources", where), alt, figure)


def _specialists(where: str, found: BySource) -> Iterator[Block]:
    """Which classes each source's model tells better or worse than the model of all sources."""
    lines = [
        f"{source}: {_classes_of(found, source, HIGHER, 'better')};"
        f" {_classes_of(found, source, LOWER, 'worse')}"
        for source in found.columns
        if source != ALL
    ]
    cells = [score for column in found.columns.values() for score in column.classes if score]
    compared = [score for score in cells if score.is_compared]
    if compared:
        marked = sum(bool(score.arrow) for score in compared)
        chance = (
            f"{marked} of {len(compared)} differences are marked; about {0.05 * len(compared):.0f}"
            " would be if there were none"
        )
        yield Listing(f"{where}: classes that differ from all sources", [*lines, chance])


def _classes_of(found: BySource, source: str, arrow: str, word: str) -> str:
    scores = found.columns[source].classes
    names = [
        found.classes[label]
        for label in found.rows
        if (score := scores[label]) is not None and score.arrow == arrow
    ]
    return f"{word} at {', '.join(names)}" if names else f"{word} at none"
