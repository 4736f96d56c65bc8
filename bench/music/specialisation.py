"""How well encoders that learned from one source tag that source and the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.music.rows import STEMS
from bench.music.scores import Pooled
from mscol_cli.probe.bootstrap import Difference, Resampled, difference


@dataclass(frozen=True)
class Specialisation:
    """Mean ROC-AUC over the tags of a source.

    Attributes:
        source: The source that the tags are of.
        scores: Score of each row.
        gain: The row that learned from this source alone, minus the mean of those that learned
            from one of the others.
    """

    source: str
    scores: Mapping[str, Resampled]
    gain: Difference


def specialisations(rows: Mapping[str, Pooled]) -> list[Specialisation]:
    """Scores of the rows that learned from all sources or from one; empty if a row is missing."""
    names = ("msa", *map(_row, STEMS))
    if not all(name in rows and rows[name].tags for name in names):
        return []
    found = []
    for source in rows["msa"].tags:
        scores = {name: rows[name].tags[source] for name in names}
        found.append(Specialisation(source, scores, _gain(source, scores)))
    return found


def _gain(source: str, scores: Mapping[str, Resampled]) -> Difference:
    others = [scores[_row(stem)] for stem in STEMS if stem != source]
    values, draws = [other.value for other in others], [other.draws for other in others]
    mean = Resampled(float(np.mean(values)), np.mean(draws, axis=0), others[0].units)
    return difference(scores[_row(source)], mean)


def _row(stem: str) -> str:
    return f"msa-{stem}"
