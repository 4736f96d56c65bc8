"""Tables of scores by source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mscol_cli.pages.page import Section, Table, Text, listing
from mscol_cli.probe.attributed import HIGHER, LOWER, Attribution, PairedScore
from mscol_cli.probe.groups import describe_drawn

HEADING = "Scores by source"


def attribution_section(attribution: Attribution, classes: Sequence[str]) -> Section:
    """Create tables of scores by source, over all classes and per class."""
    left_out = [f"{name}: {reason}" for name, reason in attribution.left_out]
    tables = _overall(attribution), _by_class(attribution, classes)
    return Section(HEADING, [Text(_lead(attribution)), *tables, *listing("Left out", left_out)])


def ordered_classes(attribution: Attribution) -> list[int]:
    """Rows of the classes that have scores, by their score on the mixture, best first."""
    mixture = attribution.sources[0].classes
    scored = [(score.value, row) for row, score in enumerate(mixture) if score is not None]
    return [row for _, row in sorted(scored, key=lambda pair: (-pair[0], pair[1]))]


def format_difference(score: PairedScore) -> str:
    """Format the difference from the reference with its interval; `-` if there is none."""
    if score.difference is None:
        return "-"
    bounds = f"{score.difference_low:+.4f} to {score.difference_high:+.4f}"
    return f"{score.difference:+.4f} ({bounds})"


def _lead(attribution: Attribution) -> str:
    return (
        "The classifiers above, trained on mixtures, tested on one source at a time of"
        f" {attribution.size} of the test set '{attribution.test_set}', from"
        f" {attribution.store}. {LOWER} and {HIGHER} mark scores whose 95 % interval of the"
        " difference from the mixture, on the same resampled clips, excludes 0; it is not corrected"
        " for the number of cells. A class whose positives or negatives are fewer than"
        f" {attribution.fewest} {describe_drawn(attribution.grouped_by)} has no interval."
    )


def _overall(attribution: Attribution) -> Table:
    rows = [
        (
            source.name,
            metric,
            f"{score.value:.4f} {score.arrow}".rstrip(),
            "-" if score.low is None else f"{score.low:.4f} to {score.high:.4f}",
            format_difference(score),
            f"{source.silent:,} of {attribution.clips:,}",
        )
        for source in attribution.sources
        for metric, score in source.scores.items()
    ]
    header = ("source", "metric", "score", "95 % interval", "minus mixture", "silent clips")
    return Table("", header, rows)


def _by_class(attribution: Attribution, classes: Sequence[str]) -> Table:
    header = (
        f"{attribution.class_metric} of",
        "clips",
        *(source.name for source in attribution.sources),
    )
    return Table("", header, list(_class_rows(attribution, classes)))


def _class_rows(attribution: Attribution, classes: Sequence[str]) -> Iterator[Sequence[str]]:
    for row in ordered_classes(attribution):
        scores = [source.classes[row] for source in attribution.sources]
        cells = ["-" if score is None else f"{score.value:.3f} {score.arrow}" for score in scores]
        yield classes[row], str(attribution.support[row]), *map(str.rstrip, cells)
