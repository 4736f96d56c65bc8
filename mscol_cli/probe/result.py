"""The result of a probe: its fields, and its file, which is written and read here alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mscol_cli.errors import UsageError
from mscol_cli.runs.layout import PROBE_REPORT
from mscol_cli.system.files import read_json, write_json
from mscol_cli.system.values import as_json, from_json

PAGE, SCORES = "probe.md", "scores.safetensors"
LABELS_PICTURE, SOURCES_PICTURE = "labels.png", "sources.png"
LOWER, HIGHER = "\N{DOWNWARDS ARROW}", "\N{UPWARDS ARROW}"


@dataclass(frozen=True)
class Score:
    """One metric on the test clips.

    Attributes:
        value: Mean over seeds.
        low: Lower bound of the 95 % bootstrap interval of that mean, over test clips.
        high: Its upper bound.
        std_over_seeds: Standard deviation over seeds, 0 for one seed.
        per_seed: The score of each seed's classifier.
    """

    value: float
    low: float
    high: float
    std_over_seeds: float
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class ClassScore:
    """One class against all others, on the test clips; means over seeds.

    Attributes:
        name: Of the class.
        support: Test clips that have it.
        scores: By name of the metric; None where the class has no positives or no negatives.
    """

    name: str
    support: int
    scores: Mapping[str, float | None]

    def score(self, metric: str) -> float | None:
        """The score of a metric; None for one that it has no score of."""
        return self.scores.get(metric)

    def as_json(self) -> dict[str, Any]:
        """The scores beside the name."""
        return {"name": self.name, "support": self.support, **self.scores}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClassScore:
        """What `as_json` made."""
        scores = dict(content)
        return cls(scores.pop("name"), scores.pop("support"), scores)


@dataclass(frozen=True)
class ScoredSet:
    """Scores on one set of test clips; scores on different sets are on different scales.

    Attributes:
        name: Of the set.
        clips: How many were scored.
        metrics: By name, the headline first.
        unscored: Classes that no macro average includes, for want of positives or of negatives.
        classes: The score of every class, in label order.
        confusion: Of a single-label task, in label order: in the row of a class how many of its
            clips were taken for which, summed over seeds.
        baselines: By name, `chance` or `majority class`, the metrics of a classifier that does not
            listen.
    """

    name: str
    clips: int
    metrics: Mapping[str, Score]
    unscored: Sequence[str] = ()
    classes: Sequence[ClassScore] = ()
    confusion: Sequence[Sequence[int]] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def headline(self) -> tuple[str, Score]:
        """The first metric: its name, and its score."""
        return next(iter(self.metrics.items()))

    @property
    def title(self) -> str:
        """Its name and its size."""
        return f"{self.name} ({self.clips:,} clips)"


@dataclass(frozen=True)
class CorruptedScore:
    """One metric on test clips that were deformed, by classifiers trained on clean ones.

    Attributes:
        deformation: What was done to them.
        test_set: Name of the test set.
        metric: Name of the metric.
        clips: How many clips were scored both clean and deformed.
        score: On the deformed clips.
        loss: Score on the clean ones minus that.
        low: Lower bound of the 95 % interval of the loss, on the same clips.
        high: Its upper bound.
        p: Two-sided p-value of the paired bootstrap.
    """

    deformation: str
    test_set: str
    metric: str
    clips: int
    score: Score
    loss: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class SharedGroups:
    """What test clips have in common with training clips, such as artists.

    Attributes:
        kind: What it is, `artist`.
        groups: How many of these the test clips have.
        shared: How many of them training clips have too.
        clips: Test clips whose group is known.
        shared_clips: How many of these are of a shared one.
    """

    kind: str
    groups: int
    shared: int
    clips: int
    shared_clips: int


@dataclass(frozen=True)
class LabelBudget:
    """Scores of classifiers trained on a share of the training clips.

    Attributes:
        fraction: The share that was asked for.
        clips: How many clips that were; the mean over seeds, each of which draws its own.
        test_sets: Scores, the headline set first.
    """

    fraction: float
    clips: float
    test_sets: Sequence[ScoredSet]


@dataclass(frozen=True)
class PairedScore:
    """A score, and how far it is from a reference.

    Attributes:
        value: Mean over seeds.
        low: Lower bound of its 95 % bootstrap interval over test clips; None where too few clips
            are of the class, or are not, to draw them anew.
        high: Its upper bound.
        difference: The score minus the reference, on the same clips; None for the reference.
        difference_low: Lower bound of the 95 % interval of the difference, on the same drawn clips.
        difference_high: Its upper bound.
    """

    value: float
    low: float | None
    high: float | None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None

    @property
    def arrow(self) -> str:
        """Where the interval of the difference leaves out 0, which way; else nothing."""
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


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found, in plain values.

    Attributes:
        task: Name of the task.
        data: The data set's folder.
        options: The task's options.
        protocol: How classifiers were trained and chosen.
        recipe: Name of the recipe; empty for none.
        model: Name of the model.
        model_hash: Of its weights.
        model_step: Updates it was trained for.
        seeds: Classifiers trained.
        test_sets: Scores, the headline set first.
        counts: By split, how many clips were embedded.
        windows: By split, how many windows they gave.
        classes: Their names, in label order.
        best_epochs: Of each seed's classifier.
        missing: Clips the metadata names whose audio is not there.
        failures: Clips whose audio could not be used: their name, and why.
        notes: What to know when reading the scores.
        seconds: How long each stage took.
        multilabel: Whether a clip may have many labels.
        weight_decays: Of each seed's classifier, where it was chosen on validation.
        label_budgets: Scores with fewer labelled clips.
        shared_groups: What training and test clips have in common.
        attribution: Scores when only one source of each test clip is heard.
        deformed: Scores on test clips that were deformed.
        folder: Where it is; not in its file.
    """

    task: str
    data: str
    options: Mapping[str, Any]
    protocol: Mapping[str, Any]
    recipe: str
    model: str
    model_hash: str
    model_step: int
    seeds: int
    test_sets: Sequence[ScoredSet]
    counts: Mapping[str, int]
    windows: Mapping[str, int]
    classes: Sequence[str]
    best_epochs: Sequence[int] = ()
    missing: Sequence[str] = ()
    failures: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    multilabel: bool = False
    weight_decays: Sequence[float] = ()
    label_budgets: Sequence[LabelBudget] = ()
    shared_groups: Sequence[SharedGroups] = ()
    attribution: Attribution | None = None
    deformed: Sequence[CorruptedScore] = ()
    folder: Path = Path()

    @property
    def json_path(self) -> Path:
        """The file that holds it."""
        return self.folder / PROBE_REPORT

    @property
    def markdown_path(self) -> Path:
        """Its page."""
        return self.folder / PAGE

    @property
    def scores_path(self) -> Path:
        """The scores of every test clip."""
        return self.folder / SCORES

    @property
    def picture_path(self) -> Path | None:
        """Its plot of scores by number of labels, if it has some."""
        return self.folder / LABELS_PICTURE if self.label_budgets else None

    @property
    def sources_path(self) -> Path | None:
        """Its plot of scores by source, if it has some."""
        return self.folder / SOURCES_PICTURE if self.attribution is not None else None

    @property
    def paths(self) -> dict[str, Path | None]:
        """Its files, by what `--json` calls them."""
        names = ("json_path", "markdown_path", "scores_path", "picture_path", "sources_path")
        return {name: getattr(self, name) for name in names}

    @property
    def settings(self) -> str:
        """Names everything but the model that decides the scores: only equal ones compare."""
        names = ("task", "options", "protocol", "recipe", "classes", "counts")
        settings = {name: as_json(getattr(self, name)) for name in names}
        sizes = [(one.name, one.clips) for one in self.test_sets]
        return json.dumps(
            [settings, sizes, self.label_fractions, self.deformations], sort_keys=True
        )

    @property
    def deformations(self) -> list[str]:
        """What was done to test clips to see what a score loses, such as `noise 20 dB`."""
        return list(dict.fromkeys(one.deformation for one in self.deformed))

    @property
    def label_fractions(self) -> list[float]:
        """Shares of the training clips that it was tried with, too."""
        return [budget.fraction for budget in self.label_budgets]

    def as_json(self) -> dict[str, Any]:
        """What its file holds."""
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        del content["folder"]
        return content


def write(result: ProbeResult) -> None:
    """Write a result to its folder. Raises OSError."""
    write_json(result.json_path, as_json(result))


def read(folder: Path) -> ProbeResult:
    """The result in a folder.

    Raises:
        MissingDataError: There is none.
        UsageError: It cannot be read.
    """
    content = read_json(folder / PROBE_REPORT, "result of a probe")
    try:
        return replace(from_json(ProbeResult, content), folder=folder)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{folder / PROBE_REPORT} cannot be read ({error}): probe again."
        ) from error
