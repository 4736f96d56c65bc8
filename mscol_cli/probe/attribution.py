"""What an encoder knows of a class from each source alone: tables people read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mscol_cli.pages.markdown import listing, markdown_table
from mscol_cli.probe.paired import HIGHER, LOWER, PairedScore


@dataclass(frozen=True)
class HeardSource:
    """The test clips when only one source of each is heard.

    Attributes:
        name: Of the source, or `mixture`.
        silent: Clips in which it never sounds.
        scores: By name of the metric, over all classes.
        classes: The score of every class, in label order; None for one without positives or
            without negatives.
    """

    name: str
    silent: int
    scores: Mapping[str, PairedScore]
    classes: Sequence[PairedScore | None]


@dataclass(frozen=True)
class Attribution:
    """Scores by source.

    Attributes:
        store: Where the sources came from.
        store_hash: Of what it holds.
        test_set: Name of the test set.
        clips: How many of its clips were heard.
        left_out: The other clips, which count on neither side, and why.
        class_metric: The metric of `HeardSource.classes`.
        fewest: Clips of a class, and not of it, without which its scores have no intervals.
        support: By class, in label order, how many of the clips have it.
        sources: The mixture first.
    """

    store: str
    store_hash: str
    test_set: str
    clips: int
    left_out: Sequence[tuple[str, str]]
    class_metric: str
    fewest: int
    support: Sequence[int]
    sources: Sequence[HeardSource]


def attribution_markdown(found: Attribution, classes: Sequence[str]) -> str:
    """Tables of scores by source, over all classes and class by class."""
    blocks = [
        f"## What each source tells\n\n{_lead(found)}",
        _overall(found),
        _by_class(found, classes),
        listing("Not heard", [f"{name}: {reason}" for name, reason in found.left_out]),
    ]
    return "\n\n".join(block for block in blocks if block)


def ordered_classes(found: Attribution) -> list[int]:
    """Rows of the classes that have scores, those that the mixture tells best first."""
    mixture = found.sources[0].classes
    scored = [(score.value, row) for row, score in enumerate(mixture) if score is not None]
    return [row for _, row in sorted(scored, key=lambda one: (-one[0], one[1]))]


def take_attribution(content: Mapping[str, Any]) -> Attribution:
    """Take what a probe.json says of it. Raises KeyError, TypeError."""
    sources = tuple(
        HeardSource(
            name=one["name"],
            silent=one["silent"],
            scores={metric: PairedScore(**score) for metric, score in one["scores"].items()},
            classes=[None if score is None else PairedScore(**score) for score in one["classes"]],
        )
        for one in content["sources"]
    )
    return Attribution(**{**content, "sources": sources})


def told_metric(found: Attribution) -> str:
    """The metric of classes, as it is read."""
    return "ROC-AUC" if found.class_metric == "roc_auc" else found.class_metric.replace("_", " ")


def told_difference(score: PairedScore) -> str:
    """The difference from the reference with its interval; a dash where there is none."""
    if score.difference is None:
        return "-"
    bounds = f"{score.difference_low:+.4f} to {score.difference_high:+.4f}"
    return f"{score.difference:+.4f} ({bounds})"


def _lead(found: Attribution) -> str:
    return (
        f"The classifiers above, trained on mixtures, on {found.clips:,} clips of the test set"
        f" '{found.test_set}' of which only one source is heard, from `{found.store}`."
        f" {LOWER} and {HIGHER} mark scores whose 95 % interval of the difference from the mixture,"
        " on the same drawn clips, leaves out 0; it is not corrected for the number of cells. A"
        f" class has no interval where fewer than {found.fewest} clips are of it, or are not."
    )


def _overall(found: Attribution) -> str:
    rows = [
        (
            one.name,
            metric,
            f"{score.value:.4f} {score.arrow}".rstrip(),
            "-" if score.low is None else f"{score.low:.4f} to {score.high:.4f}",
            told_difference(score),
            f"{one.silent:,} of {found.clips:,}",
        )
        for one in found.sources
        for metric, score in one.scores.items()
    ]
    header = ("heard", "metric", "score", "95 % interval", "minus mixture", "silent clips")
    return markdown_table(header, rows)


def _by_class(found: Attribution, classes: Sequence[str]) -> str:
    header = (f"{found.class_metric} of", "clips", *(one.name for one in found.sources))
    return markdown_table(header, list(_class_rows(found, classes)))


def _class_rows(found: Attribution, classes: Sequence[str]) -> Iterator[Sequence[str]]:
    for row in ordered_classes(found):
        heard = [one.classes[row] for one in found.sources]
        cells = ["-" if one is None else f"{one.value:.3f} {one.arrow}".rstrip() for one in heard]
        yield classes[row], str(found.support[row]), *cells
