"""Notes that qualify the scores of probes: overlaps with training, classes and clips left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mscol_cli.probe.markdown import shared_lines
from mscol_cli.probe.result import SharedGroups

MAX_NAMES = 20


@dataclass(frozen=True)
class Note:
    """One note and the results it is about.

    Attributes:
        task: Name of the task.
        note: The text, without the task or the models.
        models: Names of the models whose results carry it.
    """

    task: str
    note: str
    models: Sequence[str]


def result_notes(report: Mapping[str, Any]) -> Iterator[str]:
    """All notes of one result, one line each, from its probe.json."""
    notes = [str(note) for note in report.get("notes") or ()]
    yield from notes
    yield from shared_lines([SharedGroups(**one) for one in report.get("shared_groups") or ()])
    for test_set in report.get("test_sets") or ():
        if unscored := _unnamed(test_set.get("unscored") or (), notes):
            name = f"{test_set['name']} ({test_set['clips']:,} clips)"
            yield f"in no macro average, one-sided in {name}: {_names(unscored)}"
    if missing := report.get("missing"):
        yield f"audio missing ({len(missing)}): {_names(missing)}"
    if failures := report.get("failures"):
        yield f"audio not usable ({len(failures)}): {_names([name for name, _ in failures])}"


def collect_notes(results: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Note]:
    """Each note once, with all models it is about.

    Args:
        results: Name of the model and content of the probe.json, for each result.
    """
    models: dict[tuple[str, str], list[str]] = {}
    for model, report in results:
        for note in result_notes(report):
            models.setdefault((str(report["task"]), note), []).append(model)
    return [Note(task, note, tuple(names)) for (task, note), names in models.items()]


def _unnamed(classes: Sequence[str], notes: Sequence[str]) -> list[str]:
    """The classes that no list in a note, such as "no test clip of: harp, flute", names."""
    named = {name.strip() for note in notes for name in note.partition(":")[2].split(",")}
    return [name for name in classes if name not in named]


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
