"""One table of all finished probes, with paired tests between models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path

from mscol_cli.errors import MscolError
from mscol_cli.probe.bootstrap import difference, holm
from mscol_cli.probe.notes import Note, collect_notes
from mscol_cli.probe.result import SCORES, ProbeResult, Score
from mscol_cli.probe.scores import ClipScores, read_scores, resampled_pair
from mscol_cli.probe.table import Column, Comparison, JointTable, Row

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Finished:
    """A finished probe.

    Attributes:
        requested: The model as the user named it.
        result: The result.
    """

    requested: str
    result: ProbeResult


def join(finished: Sequence[Finished]) -> JointTable:
    """Join results into one table, and compare every pair of models in every column."""
    names = _model_names(finished)
    rows = _rows(finished, names)
    columns = _columns(finished)
    failures: list[tuple[str, str]] = []
    read = cache(read_scores)
    comparisons = [pair for column in columns for pair in _compare(column, rows, read, failures)]
    results = [(names[probe.requested], probe.result) for probe in finished]
    notes = [*_data_notes(results), *collect_notes(results)]
    return JointTable(columns, rows, comparisons, tuple(dict.fromkeys(failures)), notes)


def _data_notes(results: Sequence[tuple[str, ProbeResult]]) -> Iterator[Note]:
    """Yield a note for each task whose models were probed on different data."""
    for task in dict.fromkeys(result.task for _, result in results):
        models: dict[str, list[str]] = {}
        for name, result in results:
            if result.task == task and result.data_hash:
                models.setdefault(result.data_hash, []).append(name)
        if len(models) > 1:
            listed = "; ".join(", ".join(names) for names in models.values())
            note = f"the data changed between the probes of {listed}: probe all of them again"
            yield Note(task, note, tuple(name for names in models.values() for name in names))


def _model_names(finished: Sequence[Finished]) -> dict[str, str]:
    """Display names by requested names; models that share a name keep the requested one."""
    names = {probe.requested: probe.result.model for probe in reversed(finished)}
    shared = list(names.values())
    return {
        requested: name if shared.count(name) == 1 else requested
        for requested, name in names.items()
    }


def _rows(finished: Sequence[Finished], names: Mapping[str, str]) -> list[Row]:
    by_model: dict[str, list[Finished]] = {}
    for probe in finished:
        by_model.setdefault(probe.requested, []).append(probe)
    return [
        Row(
            model=names[requested],
            model_hash=group[0].result.model_hash,
            model_step=group[0].result.model_step,
            results={probe.result.task: str(probe.result.folder) for probe in group},
            scores={key: score for probe in group for key, score in _scores(probe.result)},
        )
        for requested, group in by_model.items()
    ]


def _scores(result: ProbeResult) -> Iterator[tuple[Key, Score]]:
    for test_set in result.test_sets:
        for metric, score in test_set.metrics.items():
            yield (result.task, test_set.name, metric), score


def _columns(finished: Sequence[Finished]) -> list[Column]:
    """The first metric of a single-label task is the headline; for tagging and retrieval, as in
    papers, all."""
    columns: dict[Key, Column] = {}
    for result in (probe.result for probe in finished):
        for test_set in result.test_sets:
            for number, metric in enumerate(test_set.metrics):
                column = Column(
                    result.task,
                    test_set.name,
                    metric,
                    test_set.clips,
                    headline=number == 0 or result.multilabel or result.is_retrieval,
                    baselines={name: values[metric] for name, values in test_set.baselines.items()},
                    unit=test_set.unit,
                    grouped_by=test_set.grouped_by,
                    groups=test_set.groups,
                )
                before = columns.setdefault(column.key, column)
                if column.grouped_by and not before.grouped_by:
                    before = columns[column.key] = column
                if before.clips != column.clips:
                    # Baselines depend on the clips.
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
            paths = [Path(row.results[column.task]) / SCORES for row in (first, second)]
            scores = read(paths[0]), read(paths[1])
            resampled, other, clips = resampled_pair(*scores, column.test_set, column.metric)
        except MscolError as error:
            failures.append((f"{column.task}: {first.model} and {second.model}", str(error)))
            continue
        values = astuple(difference(resampled, other))
        pairs.append(Comparison(column, first.model, second.model, clips, *values))
    corrected = holm([pair.p for pair in pairs])
    return [replace(pair, p_holm=p) for pair, p in zip(pairs, corrected, strict=True)]
