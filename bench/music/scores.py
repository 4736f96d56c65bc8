"""Scores of the rows of the study, over test clips and seeds of pre-training together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.music.runs import Key, Run
from mscol_cli.probe.bootstrap import Difference, Resampled, difference


@dataclass(frozen=True)
class Pooled:
    """Scores of a row, pooled over its runs.

    Attributes:
        runs: Its runs.
        scores: Means over runs, on the test clips and on resampled clips and runs.
        tags: The same for the tags of each source.
    """

    runs: Sequence[Run]
    scores: Mapping[Key, Resampled]
    tags: Mapping[str, Resampled] = field(default_factory=dict)

    def valid(self, task: str) -> float | None:
        """Mean validation score; None if there is none."""
        scores = [run.valid[task] for run in self.runs if task in run.valid]
        return float(np.mean(scores)) if scores else None


def pool_rows(runs: Iterable[Run]) -> dict[str, Pooled]:
    """Rows by name."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.row, []).append(run)
    return {name: _pooled(name, of_row) for name, of_row in found.items()}


def pool(runs: Sequence[Resampled], random_seed: int = 0) -> Resampled:
    """Pool a score of several runs. Every resample draws clips, the same for all rows, and runs.

    With one run, the spread over runs is not included.
    """
    draws = np.stack([resampled.draws for resampled in runs])
    drawn = np.random.default_rng(random_seed).integers(len(runs), size=draws.shape)
    mixed = np.take_along_axis(draws, drawn, axis=0).mean(axis=0)
    return Resampled(float(np.mean([resampled.value for resampled in runs])), mixed)


def compare(rows: Mapping[str, Pooled], first: str, second: str, key: Key) -> Difference | None:
    """Paired difference of two rows; None if one has no score."""
    if first not in rows or second not in rows:
        return None
    one, other = rows[first].scores.get(key), rows[second].scores.get(key)
    return difference(one, other) if one and other else None


def _pooled(name: str, runs: Sequence[Run]) -> Pooled:
    seed = sum(name.encode())  # rows draw their runs independently of one another
    keys = {key: None for run in runs for key in run.scores}
    sources = {source: None for run in runs for source in run.tags}
    return Pooled(
        runs,
        {key: pool([run.scores[key] for run in runs if key in run.scores], seed) for key in keys},
        {one: pool([run.tags[one] for run in runs if one in run.tags], seed) for one in sources},
    )
