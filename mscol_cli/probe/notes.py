"""Notes on the scores of probes: overlap with training, classes and clips left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mscol_cli.probe.groups import MIN_CLIPS
from mscol_cli.probe.result import ProbeResult, ScoredSet, SharedGroups
from mscol_cli.system.units import first_names

MAX_NAMES = 20
SMALL = 10 * MIN_CLIPS
"""Test clips below which rare classes are not listed."""
NO_WIDTH = 1e-9
"""Width below which the bounds of an interval differ by rounding."""
PARTLY_MISSING = "a part of the audio is missing"


@dataclass(frozen=True)
class Note:
    """A note, with its task and models.

    Attributes:
        task: Name of the task.
        note: Text, without task or models.
        models: Names of the models whose results have the note.
    """

    task: str
    note: str
    models: Sequence[str]


def shared_lines(groups: Sequence[SharedGroups]) -> list[str]:
    """Lines on the groups that test and training clips share, one per kind of group."""
    return [
        f"{group.kind}: {group.shared:,} of {group.groups:,} in the test clips are also in the"
        f" training clips ({group.shared_clips:,} of {group.clips:,} test clips)"
        for group in groups
    ]


def result_notes(result: ProbeResult) -> Iterator[str]:
    """Yield all notes of a result."""
    yield from result.notes
    if result.lacks_groups:
        yield "intervals are over single clips, and too narrow: probe again to draw groups of clips"
    yield from interval_notes(result.test_sets)
    yield from shared_lines(result.shared_groups)
    for test_set in result.test_sets:
        if unscored := _unnamed(test_set.unscored, result.notes):
            yield (
                "left out of macro averages, without positives or negatives in"
                f" {test_set.title}: {_names(unscored)}"
            )
        if rare := _rare_classes(test_set) if result.multilabel else []:
            yield (
                f"fewer than {MIN_CLIPS} positive or negative clips in {test_set.title}, so that"
                f" intervals of macro averages lack the error of these classes: {_names(rare)}"
            )
    if result.missing:
        yield f"audio missing ({len(result.missing)}): {_names(result.missing)}"
    if failures := [name for name, _ in result.failures]:
        yield f"audio not usable ({len(failures)}): {_names(failures)}"
    if short := list(result.shortfalls):
        yield f"{PARTLY_MISSING} ({len(short)}): {_names(short)}"


def interval_notes(test_sets: Iterable[ScoredSet]) -> Iterator[str]:
    """Yield a note on each test set with intervals that do not show the error of their score."""
    for test_set in test_sets:
        if test_set.groups == 1:
            yield (
                f"all clips of {test_set.title} resemble one another, so that intervals are open"
                " and nothing is tested"
            )
        flat = [
            name for name, score in test_set.metrics.items() if score.high - score.low < NO_WIDTH
        ]
        if flat:
            yield (
                f"resamples of {test_set.title} have equal scores, so that the interval has no"
                f" width and does not show the error: {', '.join(flat)}"
            )


def collect_notes(results: Iterable[tuple[str, ProbeResult]]) -> list[Note]:
    """Collect the notes of several results, each once with all its models.

    Args:
        results: Display name and result of each model.
    """
    models: dict[tuple[str, str], list[str]] = {}
    for model, result in results:
        for note in result_notes(result):
            models.setdefault((result.task, note), []).append(model)
    return [Note(task, note, tuple(names)) for (task, note), names in models.items()]


def _rare_classes(test_set: ScoredSet) -> list[str]:
    """Classes with few clips, and how many; in a small test set that would be all of them."""
    if test_set.clips < SMALL:
        return []
    return [
        f"{of_class.name} ({fewest})"
        for of_class in test_set.classes
        if 0 < (fewest := min(of_class.support, test_set.clips - of_class.support)) < MIN_CLIPS
    ]


def _unnamed(classes: Sequence[str], notes: Sequence[str]) -> list[str]:
    """Classes that are not listed in a note, such as "no test clip of: harp, flute"."""
    named = {name.strip() for note in notes for name in note.partition(":")[2].split(",")}
    return [name for name in classes if name not in named]


def _names(names: Sequence[str]) -> str:
    return first_names(names, MAX_NAMES)
