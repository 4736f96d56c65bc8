"""What an encoder knows of a class from each source alone: tables people read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mscol_cli.pages.page import Section, Table, Text, listing
from mscol_cli.probe.result import HIGHER, LOWER, Attribution, PairedScore

HEADING = "What each source tells"


def attribution_section(found: Attribution, classes: Sequence[str]) -> Section:
    """Tables of scores by source, over all classes and class by class."""
    left_out = [f"{name}: {reason}" for name, reason in found.left_out]
    tables = _overall(found), _by_class(found, classes)
    return Section(HEADING, [Text(_lead(found)), *tables, *listing("Not heard", left_out)])


def ordered_classes(found: Attribution) -> list[int]:
    """Rows of the classes that have scores, those that the mixture tells best first."""
    mixture = found.sources[0].classes
    scored = [(score.value, row) for row, score in enumerate(mixture) if score is not None]
    return [row for _, row in sorted(scored, key=lambda one: (-one[0], one[1]))]


def format_difference(score: PairedScore) -> str:
    """The difference from the reference with its interval; a dash where there is none."""
    if score.difference is None:
        return "-"
    bounds = f"{score.difference_low:+.4f} to {score.difference_high:+.4f}"
    return f"{score.difference:+.4f} ({bounds})"


def _lead(found: Attribution) -> str:
    return (
        f"The classifiers above, trained on mixtures, on {found.clips:,} clips of the test set"
        f" '{found.test_set}' of which only one source is heard, from {found.store}."
        f" {LOWER} and {HIGHER} mark scores whose 95 % interval of the difference from the mixture,"
        " on the same drawn clips, leaves out 0; it is not corrected for the number of cells. A"
        f" class has no interval where fewer than {found.fewest} clips are of it, or are not."
    )


def _overall(found: Attribution) -> Table:
    rows = [
        (
            one.name,
            metric,
            f"{score.value:.4f} {score.arrow}".rstrip(),
            "-" if score.low is None else f"{score.low:.4f} to {score.high:.4f}",
            format_difference(score),
            f"{one.silent:,} of {found.clips:,}",
        )
        for one in found.sources
        for metric, score in one.scores.items()
    ]
    header = ("heard", "metric", "score", "95 % interval", "minus mixture", "silent clips")
    return Table("", header, rows)


def _by_class(found: Attribution, classes: Sequence[str]) -> Table:
    header = (f"{found.class_metric} of", "clips", *(one.name for one in found.sources))
    return Table("", header, list(_class_rows(found, classes)))


def _class_rows(found: Attribution, classes: Sequence[str]) -> Iterator[Sequence[str]]:
    for row in ordered_classes(found):
        heard = [one.classes[row] for one in found.sources]
        cells = ["-" if one is None else f"{one.value:.3f} {one.arrow}".rstrip() for one in heard]
        yield classes[row], str(found.support[row]), *cells
