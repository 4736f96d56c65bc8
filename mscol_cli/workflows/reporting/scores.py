"""What probes found: tables, points with intervals, classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mscol_cli.reports.curves import picture_png
from mscol_cli.reports.page import Block, Listing, Picture, Pictures, Section, Table, Text
from mscol_cli.reports.points import Point, draw_confusion, draw_points
from mscol_cli.reports.tables import Score
from mscol_cli.workflows.reporting.found import FoundProbe, FoundSet, Material

NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "macro ROC-AUC",
    "average_precision": "macro average precision",
}
CLASS_KEYS = ("name", "class", "label")
MOST_MATRICES = 12
NO_BREAK = "\N{NO-BREAK SPACE}"


def scores_section(material: Material) -> Section:
    """A table and pictures for each group of results that were made alike."""
    groups: dict[str, list[FoundProbe]] = {}
    for probe in material.probes:
        groups.setdefault(probe.settings, []).append(probe)
    if not groups:
        return Section("Probe scores", ())
    intro = Text(
        "Shallow classifiers on the frozen encoder. Each score is the mean over seeds ± the"
        " standard deviation over seeds, in brackets its 95 % bootstrap interval over test clips."
        " Only scores of one table compare."
    )
    blocks = [block for name, group in _named(groups) for block in _group(name, group, material)]
    return Section("Probe scores", [intro, *blocks])


def classes_section(material: Material) -> Section:
    """Scores per class, and confusion matrices, of the results that have them."""
    having = [(probe, one) for probe in material.probes for one in probe.test_sets]
    tables = [table for probe, one in having if one.per_class for table in _class_table(probe, one)]
    matrices = [_matrix(probe, one) for probe, one in having if len(one.confusion)]
    shown = matrices[:MOST_MATRICES]
    pictures = [Pictures(shown)] if shown else []
    more = [Text(f"{len(matrices) - len(shown)} more matrices are in the probe.json files.")]
    return Section("Classes", [*tables, *pictures, *(more if len(matrices) > len(shown) else [])])


def _named(groups: Mapping[str, list[FoundProbe]]) -> Iterator[tuple[str, list[FoundProbe]]]:
    """Groups under names that tell them apart: the task, its recipe, a number where needed."""
    seen: dict[str, int] = {}
    for group in groups.values():
        recipe = group[0].content.get("recipe")
        name = f"{group[0].task}, recipe {recipe}" if recipe else group[0].task
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}, settings {seen[name]}"), group


def _group(name: str, group: Sequence[FoundProbe], material: Material) -> Iterator[Block]:
    first = group[0]
    columns = [(one.name, metric) for one in first.test_sets for metric in one.metrics]
    header = ("model", *(_column(first, *column) for column in columns), "seeds")
    rows = [
        (probe.model, *(_cell(_score(probe, *column)) for column in columns), _seeds(probe))
        for probe in group
    ]
    yield Table(f"{name}: {_protocol(first.content)}", header, rows)
    yield Pictures([_picture(name, group, material, *column) for column in columns])
    notes = list(_notes(group))
    if notes:
        yield Listing(f"Notes on {name}", notes)


def _notes(group: Sequence[FoundProbe]) -> Iterator[str]:
    """Each note once, under the models it is about unless these are all."""
    about: dict[str, list[str]] = {}
    for probe in group:
        for note in probe.content.get("notes", []):
            about.setdefault(str(note), []).append(probe.model)
    for note, models in about.items():
        yield note if len(models) == len(group) else f"{', '.join(models)}: {note}"


def _protocol(content: Mapping[str, Any]) -> str:
    protocol = content.get("protocol", {})
    hidden = protocol.get("hidden")
    classifier = f"{hidden} hidden units" if hidden else "linear classifier"
    counts = content.get("counts", {})
    clips = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    return f"{classifier}; clips: {clips}"


def _column(probe: FoundProbe, name: str, metric: str) -> str:
    one = _set(probe, name)
    where = "" if len(probe.test_sets) == 1 else f"{name}, "
    return f"{NAMES.get(metric, metric)} ({where}{one.clips:,} clips)"


def _set(probe: FoundProbe, name: str) -> FoundSet:
    return next(one for one in probe.test_sets if one.name == name)


def _score(probe: FoundProbe, name: str, metric: str) -> Score | None:
    return _set(probe, name).metrics.get(metric)


def _cell(score: Score | None) -> str:
    if score is None:
        return "-"
    spread = f" ± {score.std_over_seeds:.3f}" if len(score.per_seed) > 1 else ""
    interval = f"[{score.low:.3f}, {score.high:.3f}]"
    # A narrow column breaks between the two, not within.
    return " ".join(
        part.replace(" ", NO_BREAK) for part in (f"{score.value:.3f}{spread}", interval)
    )


def _seeds(probe: FoundProbe) -> str:
    return str(probe.content.get("seeds", "-"))


def _picture(
    name: str, group: Sequence[FoundProbe], material: Material, test_set: str, metric: str
) -> Picture:
    points = [
        _point(probe, score, material)
        for probe in group
        if (score := _score(probe, test_set, metric)) is not None
    ]
    label = NAMES.get(metric, metric)
    where = name if len(group[0].test_sets) == 1 else f"{name}, {test_set}"
    figure = draw_points(where, f"{label} (95 % interval)", points)
    told = "; ".join(
        f"{one.label} {one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in points
    )
    alt = f"{label} on {where}, a row per model: {told}."
    return Picture(_file_name("scores", name, test_set, metric), alt, picture_png(figure))


def _point(probe: FoundProbe, score: Score, material: Material) -> Point:
    style = material.style(probe.run)
    return Point(probe.model, score.value, score.low, score.high, score.per_seed, style)


def _file_name(*parts: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def _title(probe: FoundProbe, one: FoundSet) -> str:
    where = f" ({one.name})" if len(probe.test_sets) > 1 else ""
    return f"{probe.task}{where}: {probe.model}"


def _class_table(probe: FoundProbe, one: FoundSet) -> Iterator[Table]:
    rows = list(_class_rows(one))
    columns = list(dict.fromkeys(key for _, row in rows for key in row))
    if columns:
        yield Table(
            f"{_title(probe, one)}, per class",
            ("class", *(NAMES.get(name, name.replace("_", " ")) for name in columns)),
            [(name, *(_value(row.get(key)) for key in columns)) for name, row in rows],
        )


def _class_rows(one: FoundSet) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The name of each class, and its scores."""
    if isinstance(one.per_class, Mapping):
        yield from one.per_class.items()
        return
    for row in one.per_class:
        key = next((key for key in CLASS_KEYS if key in row), None)
        if key is not None:
            yield str(row[key]), {name: value for name, value in row.items() if name != key}


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _matrix(probe: FoundProbe, one: FoundSet) -> Picture:
    classes = [str(name) for name in probe.content["classes"]]
    title = _title(probe, one)
    counts = np.asarray(one.confusion, dtype=np.float64)
    right = counts.trace() / max(counts.sum(), 1)
    alt = f"Confusion matrix of {title}: {right:.0%} of {one.clips:,} clips lie on the diagonal."
    name = _file_name("confusion", probe.task, one.name, probe.model, probe.folder.name)
    return Picture(name, alt, picture_png(draw_confusion(title, classes, one.confusion)))
