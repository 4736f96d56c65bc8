"""Scores of the rows of the study, over test clips and seeds of pre-training together.

Few rows have more than three seeds, too few to estimate the spread over seeds of a row alone. It is
pooled over all trained rows, and over all untrained ones, whose scores vary more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from bench.music.rows import TRAINED
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

    @property
    def chance(self) -> dict[Key, float]:
        """Scores of a classifier that guesses."""
        return {key: score for run in self.runs for key, score in run.chance.items()}

    def valid(self, task: str) -> float | None:
        """Mean validation score; None if there is none."""
        scores = [run.valid[task] for run in self.runs if task in run.valid]
        return float(np.mean(scores)) if scores else None


@dataclass(frozen=True)
class Spread:
    """Standard deviations over seeds of pre-training, pooled over rows, by score and by source."""

    scores: Mapping[Key, float] = field(default_factory=dict)
    tags: Mapping[str, float] = field(default_factory=dict)


def pool_rows(runs: Iterable[Run]) -> dict[str, Pooled]:
    """Rows by name."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.row, []).append(run)
    spreads = {
        trained: measure_spread(
            [row for name, row in found.items() if TRAINED.get(name) == trained]
        )
        for trained in (True, False)
    }
    return {
        # `mini` and log-mel statistics are no rows: they have no seeds.
        name: _pooled(name, of_row, spreads[TRAINED[name]] if name in TRAINED else Spread())
        for name, of_row in found.items()
    }


def measure_spread(rows: Sequence[Sequence[Run]]) -> Spread:
    """Standard deviations over seeds of some rows."""
    scores = {key: None for run in chain(*rows) for key in run.scores}
    tags = {source: None for run in chain(*rows) for source in run.tags}
    return Spread(
        {key: _deviation([[run.scores.get(key) for run in row] for row in rows]) for key in scores},
        {one: _deviation([[run.tags.get(one) for run in row] for row in rows]) for one in tags},
    )


def pool(runs: Sequence[Resampled], deviation: float, random_seed: int = 0) -> Resampled:
    """Pool a score of several runs.

    Every resample draws clips, the same for all rows, and the error of a mean over so many seeds.

    Args:
        runs: The score of each run.
        deviation: Standard deviation over seeds.
        random_seed: Seed of the errors.
    """
    draws = np.mean([resampled.draws for resampled in runs], axis=0)
    error = deviation / np.sqrt(len(runs))
    noise = np.random.default_rng(random_seed).normal(0, error, len(draws))
    value = float(np.mean([resampled.value for resampled in runs]))
    return Resampled(value, draws + noise, runs[0].units)


def _deviation(rows: Iterable[Sequence[Resampled | None]]) -> float:
    """Standard deviation of a score over seeds, pooled over all rows with several.

    Scores of two runs differ on the test clips for another reason, too: each run has its own luck
    with these clips. Resamples tell how much, by the differences of the draws of a row, and they
    have this part in themselves, so it is subtracted.
    """
    squares, freedom = 0.0, 0
    for row in rows:
        runs = [one for one in row if one is not None]
        if len(runs) > 1:
            draws = np.stack([one.draws for one in runs])
            luck = (draws - draws.mean(axis=0)).var(axis=1).sum()
            squares += float(np.var([one.value for one in runs]) * len(runs) - luck)
            freedom += len(runs) - 1
    return float(np.sqrt(max(0.0, squares) / freedom)) if freedom else 0.0


def compare(rows: Mapping[str, Pooled], first: str, second: str, key: Key) -> Difference | None:
    """Paired difference of two rows; None if one has no score."""
    if first not in rows or second not in rows:
        return None
    one, other = rows[first].scores.get(key), rows[second].scores.get(key)
    return difference(one, other) if one and other else None


def _pooled(name: str, runs: Sequence[Run], spread: Spread) -> Pooled:
    seed = sum(name.encode())  # the errors of rows are independent of one another
    keys = {key: None for run in runs for key in run.scores}
    sources = {source: None for run in runs for source in run.tags}
    return Pooled(
        runs,
        {
            key: pool(
                [run.scores[key] for run in runs if key in run.scores],
                spread.scores.get(key, 0.0),
                seed,
            )
            for key in keys
        },
        {
            source: pool(
                [run.tags[source] for run in runs if source in run.tags],
                spread.tags.get(source, 0.0),
                seed,
            )
            for source in sources
        },
    )
