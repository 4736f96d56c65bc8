"""Published scores of frozen encoders, for comparison on the same test sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mscol_cli.pages.page import rows_by_name

PAPER = "Garoufis, Zlatintsi, Maragos, SMC 2023, arXiv 2302.07077"


@dataclass(frozen=True)
class Published:
    """A published score.

    Attributes:
        framework: Name of the pre-training framework.
        task: Name of the probe task.
        test_set: Name of the test set.
        clips: Size of the test set; sets of other sizes are not comparable.
        metric: Name of the metric in `mscol probe`.
        value: Score, between 0 and 1.
        paper: Citation.
    """

    framework: str
    task: str
    test_set: str
    clips: int
    metric: str
    value: float
    paper: str = PAPER


_COLUMNS = (
    ("mtat", "filtered", 4332, "roc_auc"),
    ("mtat", "filtered", 4332, "average_precision"),
    ("mtat", "unfiltered", 5329, "roc_auc"),
    ("mtat", "unfiltered", 5329, "average_precision"),
    ("nsynth", "test", 4096, "accuracy"),
    ("fma", "test", 800, "accuracy"),
)
_ROWS = {
    "CLMR": (None, None, 0.887, 0.356, None, 0.484),
    "COLA": (0.886, 0.396, 0.880, 0.334, 0.593, 0.460),
    "COLA + MWS": (0.898, 0.425, 0.892, 0.358, 0.645, 0.493),
    "COLA + Random Mask": (0.883, 0.390, 0.880, 0.337, 0.632, 0.476),
    "COLA + MSA": (0.900, 0.429, 0.895, 0.361, 0.627, 0.510),
}
PUBLISHED = tuple(
    Published(framework, *column, value)
    for framework, values in _ROWS.items()
    for column, value in zip(_COLUMNS, values, strict=True)
    if value is not None
)


def published_scores(task: str, test_set: str, clips: int, metric: str) -> dict[str, Published]:
    """Published scores on a test set of exactly this size, by framework."""
    key = task, test_set, clips, metric
    return {
        score.framework: score
        for score in PUBLISHED
        if (score.task, score.test_set, score.clips, score.metric) == key
    }


def published_rows(
    columns: Sequence[Mapping[str, Published]], absent: str = "-"
) -> list[tuple[str, ...]]:
    """Table rows of published scores, one per framework; columns are from `published_scores`."""
    values = [
        {f"{name}, published": score.value for name, score in column.items()} for column in columns
    ]
    return rows_by_name(values, ".3f", absent)


def sources_line(columns: Iterable[Mapping[str, Published]]) -> str:
    """A sentence that cites the papers of published scores; empty if there are none."""
    papers = dict.fromkeys(score.paper for column in columns for score in column.values())
    line = f"Published figures, on test sets of the same size: {'; '.join(papers)}."
    return line if papers else ""
