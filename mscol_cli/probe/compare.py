"""From finished probes to one table, and the paired tests between its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path

from mscol_cli.errors import MscolError
from mscol_cli.probe.bootstrap import difference, holm
from mscol_cli.probe.notes import collect_notes
from mscol_cli.probe.result import SCORES, ProbeResult, Score
from mscol_cli.probe.scores import ClipScores, read_scores, resampled_pair
from mscol_cli.probe.table import Column, Comparison, JointTable, Row

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Finished:
    """A finished probe.

    Attributes:
        given: What the user called the model.
        result: The result.
    """

    given: str
    result: ProbeResult


def join(finished: Sequence[Finished]) -> JointTable:
    """The table of all results, with every pair of models compared in every column."""
    names = _model_names(finished)
    rows = _rows(finished, names)
    columns = _columns(finished)
    failures: list[tuple[str, str]] = []
    read = cache(read_scores)
    compared = [one for column in columns for one in _compare(column, rows, read, failures)]
    notes = collect_notes((names[one.given], one.result) for one in finished)
    return JointTable(columns, rows, compared, tuple(dict.fromkeys(failures)), notes)


def _model_names(finished: Sequence[Finished]) -> dict[str, str]:
    """What the table calls each model, by what the user called it: that where two share a name."""
    names = {one.given: one.result.model for one in reversed(finished)}
    shared = list(names.values())
    return {given: name if shared.count(name) == 1 else given for given, name in names.items()}


def _rows(finished: Sequence[Finished], names: Mapping[str, str]) -> list[Row]:
    by_model: dict[str, list[Finished]] = {}
    for one in finished:
        by_model.setdefault(one.given, []).append(one)
    return [
        Row(
            model=names[given],
            model_hash=group[0].result.model_hash,
            model_step=group[0].result.model_step,
            results={one.result.task: str(one.result.folder) for one in group},
            scores={key: score for one in group for key, score in _scores(one.result)},
        )
        for given, group in by_model.items()
    ]


def _scores(result: ProbeResult) -> Iterator[tuple[Key, Score]]:
    for test_set in result.test_sets:
        for metric, score in test_set.metrics.items():
            yield (result.task, test_set.name, metric), score


def _columns(finished: Sequence[Finished]) -> list[Column]:
    """Single-label tasks have one headline metric; the literature gives both of tagging."""
    columns: dict[Key, Column] = {}
    for result in (one.result for one in finished):
        for test_set in result.test_sets:
            for number, metric in enumerate(test_set.metrics):
                column = Column(
                    result.task,
                    test_set.name,
                    metric,
                    test_set.clips,
                    headline=number == 0 or result.multilabel,
                    baselines={name: values[metric] for name, values in test_set.baselines.items()},
                )
                before = columns.setdefault(column.key, column)
                if before.clips != column.clips:
                    # Other clips have other baselines.
                    columns[column.key] = replace(before, clips=0, baselines={})
    order = list(dict.fromkeys(key[0] for key in columns))
    return sorted(columns.values(), key=lambda column: order.index(column.task))


def _compare(
    column: Column,
    rows: Sequence[Row],
    read: Callable[[Path], ClipScores],
    failures: list[tuple[str, str]],
) -> list[Comparison]:
    scored = [row for row in rows if column.key in row.scores]
    pairs = []
    for first, second in combinations(scored, 2):
        try:
            kept, other = (read(Path(row.results[column.task]) / SCORES) for row in (first, second))
            ours, theirs, clips = resampled_pair(kept, other, column.test_set, column.metric)
        except MscolError as error:
            failures.append((f"{column.task}: {first.model} and {second.model}", str(error)))
            continue
        found = difference(ours, theirs)
        values = (found.value, found.low, found.high, found.p, found.p)
        pairs.append(Comparison(column, first.model, second.model, clips, *values))
    corrected = holm([one.p for one in pairs])
    return [replace(one, p_holm=p) for one, p in zip(pairs, corrected, strict=True)]
