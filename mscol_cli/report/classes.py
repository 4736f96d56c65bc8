"""Which classes probes tell apart, and what they take them for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mscol_cli.pages.page import Block, Picture, Pictures, Section, Table, Text
from mscol_cli.pages.pictures import picture
from mscol_cli.pages.points import draw_confusion
from mscol_cli.probe.result import FoundProbe, FoundSet
from mscol_cli.report.material import NO_BREAK, Group, Material, file_name, set_of
from mscol_cli.report.settings import format_value

MOST_MATRICES = 12
SHOWN = 10
"""Classes of a table before the rest is folded away."""
ORDER = "average_precision"


def classes_section(material: Material) -> Section:
    """A table of classes for each test set, models side by side, and confusion matrices."""
    groups = material.groups
    blocks: list[Block] = [table for group in groups for table in _tables(group)]
    matrices = [picture for group in groups for picture in _matrices(group)]
    if matrices:
        blocks.append(Pictures(matrices[:MOST_MATRICES]))
    if len(matrices) > MOST_MATRICES:
        left = len(matrices) - MOST_MATRICES
        blocks.append(Text(f"Confusion matrices left out here: {left}; each probe.json has its."))
    return Section("Classes", blocks)


def _tables(group: Group) -> Iterator[Table]:
    for tested in group.test_sets:
        columns = [(probe.model, _by_name(set_of(probe, tested))) for probe in group.probes]
        columns = [(model, classes) for model, classes in columns if classes]
        if not columns:
            continue
        rows = sorted(columns[0][1].items(), key=lambda item: -(item[1].get(ORDER) or 0.0))
        yield Table(
            f"{group.where(tested)}: average precision of each class against all others, in"
            f" brackets its ROC-AUC; the best of {columns[0][0]} first",
            ("class", "test clips", *(model for model, _ in columns)),
            [
                (
                    name,
                    format_value(row.get("support")),
                    *(_cell(classes.get(name, {})) for _, classes in columns),
                )
                for name, row in rows
            ],
            shown=SHOWN,
        )


def _by_name(tested: FoundSet) -> dict[str, Mapping[str, Any]]:
    return {str(row["name"]): row for row in tested.classes}


def _cell(row: Mapping[str, Any]) -> str:
    precision, area = row.get("average_precision"), row.get("roc_auc")
    if precision is None or area is None:
        return "-"
    return f"{precision:.3f}{NO_BREAK}({area:.3f})"


def _matrices(group: Group) -> Iterator[Picture]:
    for tested in group.test_sets:
        for probe in group.probes:
            if len(set_of(probe, tested).confusion):
                yield _matrix(group, probe, set_of(probe, tested))


def _matrix(group: Group, probe: FoundProbe, tested: FoundSet) -> Picture:
    classes = [str(name) for name in probe.content["classes"]]
    title = f"{group.where(tested)}: {probe.model}"
    counts = np.asarray(tested.confusion, dtype=np.float64)
    right = counts.trace() / max(counts.sum(), 1)
    alt = (
        f"Confusion matrix of {title}: {right:.0%} of {tested.clips:,} clips are taken for what"
        " they are."
    )
    name = file_name("confusion", group.name, tested.name, probe.model)
    return picture(name, alt, draw_confusion(title, classes, tested.confusion))
