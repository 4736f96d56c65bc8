"""Section on scores per class and confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mscol_cli.pages.page import Block, Picture, Pictures, Section, Table, Text
from mscol_cli.pages.pictures import picture
from mscol_cli.pages.points import draw_confusion
from mscol_cli.probe.metrics import CLASS_ORDER, find_metric
from mscol_cli.probe.result import ClassScore, ScoredSet
from mscol_cli.report.material import NO_BREAK, FoundProbe, Group, Material, file_name, set_of

MAX_MATRICES = 12
SHOWN = 10
"""Rows of a table of classes that are not folded."""


def classes_section(material: Material) -> Section:
    """Create a section with a table of classes per test set, models as columns, and matrices."""
    groups = material.groups
    blocks: list[Block] = [table for group in groups for table in _tables(group)]
    matrices = [picture for group in groups for picture in _matrices(group)]
    if matrices:
        blocks.append(Pictures(matrices[:MAX_MATRICES]))
    if len(matrices) > MAX_MATRICES:
        left = len(matrices) - MAX_MATRICES
        blocks.append(Text(f"{left} more confusion matrices are in the files probe.json."))
    return Section("Classes", blocks)


def _tables(group: Group) -> Iterator[Table]:
    for tested in group.test_sets:
        columns = [
            (probe.model, {row.name: row for row in scored.classes})
            for probe in group.probes
            if (scored := set_of(probe, tested)).classes
        ]
        if not columns:
            continue
        rows = sorted(columns[0][1].values(), key=_rank, reverse=True)
        names = _metrics(rows[0])
        others = ", ".join(find_metric(name).title for name in names[1:])
        yield Table(
            f"{group.where(tested)}: {find_metric(names[0]).title} of each class against all"
            f" others, in parentheses {others}; sorted by {columns[0][0]}",
            ("class", "test clips", *(model for model, _ in columns)),
            [
                (
                    row.name,
                    f"{row.support:,}",
                    *(_cell(classes.get(row.name), names) for _, classes in columns),
                )
                for row in rows
            ],
            shown=SHOWN,
        )


def _rank(row: ClassScore) -> float:
    score = row.scores.get(CLASS_ORDER.name)
    return 0.0 if score is None else CLASS_ORDER.rank(score)


def _metrics(row: ClassScore) -> list[str]:
    """Names of the metrics of classes, `CLASS_ORDER` first."""
    return sorted(row.scores, key=lambda name: name != CLASS_ORDER.name)


def _cell(row: ClassScore | None, names: Sequence[str]) -> str:
    scores = [row.scores.get(name) if row else None for name in names]
    first, *others = ["-" if score is None else f"{score:.3f}" for score in scores]
    return first if first == "-" else f"{first}{NO_BREAK}({', '.join(others)})"


def _matrices(group: Group) -> Iterator[Picture]:
    for tested in group.test_sets:
        for probe in group.probes:
            scored = set_of(probe, tested)
            if scored.confusion:
                yield _matrix(group, probe, scored)


def _matrix(group: Group, probe: FoundProbe, tested: ScoredSet) -> Picture:
    title = f"{group.where(tested)}: {probe.model}"
    counts = np.asarray(tested.confusion, dtype=np.float64)
    right = counts.trace() / max(counts.sum(), 1)
    alt = (
        f"Confusion matrix of {title}: {right:.0%} of {tested.clips:,} clips are classified"
        " correctly."
    )
    name = file_name("confusion", group.name, tested.name, probe.model)
    return picture(name, alt, draw_confusion(title, probe.result.classes, tested.confusion))
