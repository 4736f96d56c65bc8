"""Scores of the rows of the study, over test clips and seeds of pre-training together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.music.rows import GROUPS
from mscol_cli.probe.bootstrap import Difference, Resampled, difference
from mscol_cli.probe.result import SCORES, read
from mscol_cli.probe.scores import read_scores
from mscol_cli.runs.layout import PROBE_REPORT, PROBES

Key = tuple[str, str, str]
"""Task, test set and metric."""


@dataclass(frozen=True)
class Scored:
    """A score of a row.

    Attributes:
        resampled: Mean over seeds, on the test clips and on resampled clips and seeds.
        seeds: Score of each seed.
        valid: Validation score of each seed.
    """

    resampled: Resampled
    seeds: Sequence[float]
    valid: Sequence[float]


def read_rows(folder: Path) -> dict[str, dict[Key, Scored]]:
    """Scores of all rows with a probe in the studies of a folder, by row.

    Runs are `GROUP/ROW-SEED`; models without a run are `GROUP/probes/MODEL`.
    """
    found: dict[str, dict[Key, list[tuple[Resampled, float]]]] = {}
    reports = (path for group in GROUPS for path in sorted((folder / group).rglob(PROBE_REPORT)))
    for report in reports:
        model = report.relative_to(folder).parts[1:]
        name = model[1] if model[0] == PROBES else model[0].rpartition("-")[0]
        result, clips = read(report.parent), read_scores(report.parent / SCORES)
        valid = float(np.mean(result.valid_scores)) if result.valid_scores else float("nan")
        for (test_set, metric), resampled in clips.resampled.items():
            key = (result.task, test_set, metric)
            found.setdefault(name, {}).setdefault(key, []).append((resampled, valid))
    return {
        name: {key: pool(runs, _seed_of(name)) for key, runs in scores.items()}
        for name, scores in found.items()
    }


def pool(runs: Sequence[tuple[Resampled, float]], random_seed: int = 0) -> Scored:
    """Pool the runs of a row. Every resample draws clips, the same for all rows, and runs.

    With one run, the spread over seeds is not included.
    """
    draws = np.stack([resampled.draws for resampled, _ in runs])
    drawn = np.random.default_rng(random_seed).integers(len(runs), size=draws.shape)
    mixed = np.take_along_axis(draws, drawn, axis=0).mean(axis=0)
    values = [resampled.value for resampled, _ in runs]
    return Scored(Resampled(float(np.mean(values)), mixed), values, [valid for _, valid in runs])


def compare(
    rows: Mapping[str, Mapping[Key, Scored]], first: str, second: str, key: Key
) -> Difference | None:
    """Paired difference of two rows; None if one has no score."""
    if key not in rows.get(first, {}) or key not in rows.get(second, {}):
        return None
    return difference(rows[first][key].resampled, rows[second][key].resampled)


def _seed_of(name: str) -> int:
    """Rows draw their runs independently of one another."""
    return sum(name.encode())
