"""How well encoders that learned from one source tag that source and the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np

from bench.music.rows import STEMS
from bench.music.scores import pool
from mscol_cli.probe.bootstrap import Difference, Resampled, difference, resample
from mscol_cli.probe.result import SCORES, read
from mscol_cli.probe.scores import ClipScores, read_scores
from mscol_cli.runs.layout import PROBE_REPORT

TEST_SET = "filtered"
TAGS: Mapping[str, tuple[str, ...]] = {
    "vocals": ("vocals", "no vocals", "voice", "choir"),
    "bass": ("electric bass", "acoustic bass", "synth bass"),
    "drums": ("drums", "no drums", "electronic drums"),
    "other": (
        *("piano", "electric piano", "organ", "harpsichord", "accordion", "mallets", "bells"),
        *("acoustic guitar", "electric guitar", "distorted guitar", "banjo", "sitar", "harp"),
        *("strings", "brass", "flute", "synth pad", "synth lead"),
    ),
}
"""Tags that a source decides. Those with fewer than ten test clips are left out."""


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


def read_specialisations(folder: Path) -> list[Specialisation]:
    """Scores of the rows that learned from all sources or from one; empty if a row is missing."""
    rows = {name: [*_clips(folder, name)] for name in ("msa", *map(_row, STEMS))}
    if not all(rows.values()):
        return []
    found = []
    for source, tags in TAGS.items():
        runs = {name: [(tagged(one, tags), nan) for one in clips] for name, clips in rows.items()}
        scores = {name: pool(of_row).resampled for name, of_row in runs.items()}
        found.append(Specialisation(source, scores, _gain(source, scores)))
    return found


def tagged(clips: ClipScores, tags: tuple[str, ...]) -> Resampled:
    """Mean ROC-AUC over some of the tags."""
    rows, columns = clips.members[TEST_SET], [clips.classes.index(tag) for tag in tags]
    return resample("roc_auc", clips.scores[:, rows][..., columns], clips.targets[rows][:, columns])


def _clips(folder: Path, row: str) -> Iterator[ClipScores]:
    for report in sorted(folder.glob(f"*/{row}-[0-9]*/probes/*/{PROBE_REPORT}")):
        if read(report.parent).task == "mtat":
            yield read_scores(report.parent / SCORES)


def _gain(source: str, scores: Mapping[str, Resampled]) -> Difference:
    others = [scores[_row(stem)] for stem in STEMS if stem != source]
    values, draws = [other.value for other in others], [other.draws for other in others]
    mean = Resampled(float(np.mean(values)), np.mean(draws, axis=0))
    return difference(scores[_row(source)], mean)


def _row(stem: str) -> str:
    return f"msa-{stem}"
