"""Scores by source of the test clips, as a result has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mscol_cli.probe.groups import describe_size

LOWER, HIGHER = "\N{DOWNWARDS ARROW}", "\N{UPWARDS ARROW}"


@dataclass(frozen=True)
class PairedScore:
    """A score, and its difference from a reference.

    Attributes:
        value: Mean over seeds.
        low: Lower bound of the 95 % bootstrap interval over test clips or groups; None if the
            class has too few positive or negative ones.
        high: Upper bound of the interval.
        difference: Score minus reference, on the same clips; None for the reference.
        difference_low: Lower bound of the 95 % interval of the difference, on the same resamples.
        difference_high: Upper bound of the interval of the difference.
    """

    value: float
    low: float | None
    high: float | None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None

    @property
    def arrow(self) -> str:
        """Direction of the difference if its interval excludes 0; else empty."""
        if self.difference_high is not None and self.difference_high < 0:
            return LOWER
        if self.difference_low is not None and self.difference_low > 0:
            return HIGHER
        return ""

    @property
    def is_compared(self) -> bool:
        """Whether the difference has an interval."""
        return self.difference_low is not None


@dataclass(frozen=True)
class HeardSource:
    """Scores on one source of the test clips.

    Attributes:
        name: Name of the source, or `mixture`.
        silent: Number of clips in which the source is silent.
        scores: Scores over all classes, by metric.
        classes: Score of every class, in label order; None for a class without positives or
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
        store: Store with the sources.
        store_hash: Hash of the store.
        test_set: Name of the test set.
        clips: Number of scored clips.
        left_out: Id and reason of each clip that is left out, of the mixture too.
        class_metric: Metric of `HeardSource.classes`.
        fewest: Number of positive and negative clips, or groups, that a class needs for an
            interval.
        support: Number of clips of each class, in label order.
        sources: Scores by source, the mixture first.
        grouped_by: Kind of group that intervals draw as a whole; empty if they draw clips.
        groups: Number of these groups; 0 if clips are drawn.
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
    grouped_by: str = ""
    groups: int = 0

    @property
    def size(self) -> str:
        """Number of clips, and of the groups that are drawn."""
        return describe_size(self.clips, "clips", self.grouped_by, self.groups)
