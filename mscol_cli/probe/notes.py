"""Notes that qualify the scores of probes: overlaps with training, classes and clips left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mscol_cli.probe.result import ProbeResult, SharedGroups

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


def shared_lines(groups: Sequence[SharedGroups]) -> list[str]:
    """One line for each kind of group that test and training clips may have in common."""
    return [
        f"{one.kind}: {one.shared:,} of {one.groups:,} among the test clips are among the training"
        f" clips too, in {one.shared_clips:,} of {one.clips:,} test clips"
        for one in groups
    ]


def result_notes(result: ProbeResult) -> Iterator[str]:
    """All notes of one result, one line each."""
    yield from result.notes
    yield from shared_lines(result.shared_groups)
    for test_set in result.test_sets:
        if unscored := _unnamed(test_set.unscored, result.notes):
            yield f"in no macro average, one-sided in {test_set.title}: {_names(unscored)}"
    if result.missing:
        yield f"audio missing ({len(result.missing)}): {_names(result.missing)}"
    if failures := [name for name, _ in result.failures]:
        yield f"audio not usable ({len(failures)}): {_names(failures)}"


def collect_notes(results: Iterable[tuple[str, ProbeResult]]) -> list[Note]:
    """Each note once, with all models it is about.

    Args:
        results: What to call the model, and its result.
    """
    models: dict[tuple[str, str], list[str]] = {}
    for model, result in results:
        for note in result_notes(result):
            models.setdefault((result.task, note), []).append(model)
    return [Note(task, note, tuple(names)) for (task, note), names in models.items()]


def _unnamed(classes: Sequence[str], notes: Sequence[str]) -> list[str]:
    """The classes that no list in a note, such as "no test clip of: harp, flute", names."""
    named = {name.strip() for note in notes for name in note.partition(":")[2].split(",")}
    return [name for name in classes if name not in named]


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
