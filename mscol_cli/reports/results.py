"""What a probe found, in plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mscol_cli.reports.attribution import Attribution


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
        roc_auc: None where the class has no positives or no negatives.
        average_precision: None as well then.
    """

    name: str
    support: int
    roc_auc: float | None
    average_precision: float | None


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


@dataclass(frozen=True)
class DeformedScore:
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
class ProbeSummary:
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
    deformed: Sequence[DeformedScore] = ()


@dataclass(frozen=True)
class ProbeResult(ProbeSummary):
    """What a probe found, and the files that say so."""

    json_path: Path = Path()
    markdown_path: Path = Path()
    scores_path: Path = Path()
    picture_path: Path | None = None
    sources_path: Path | None = None
