"""The result of a probe: its fields, and probe.json read again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mscol_cli.probe.attribution import Attribution
from mscol_cli.runs.trained import FoundRun
from mscol_cli.system.files import read_json

PROBE = "probe.json"


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
    deformed: Sequence[CorruptedScore] = ()


@dataclass(frozen=True)
class ProbeResult(ProbeSummary):
    """What a probe found, and the files that say so."""

    json_path: Path = Path()
    markdown_path: Path = Path()
    scores_path: Path = Path()
    picture_path: Path | None = None
    sources_path: Path | None = None


@dataclass(frozen=True)
class FoundSet:
    """Scores on one set of test clips.

    Attributes:
        name: Of the set.
        clips: How many were scored.
        metrics: By name, the headline first.
        classes: Of each class its name, support, `roc_auc` and `average_precision`, if the result
            has them.
        confusion: (classes, classes) clips summed over seeds, true classes first, if the result
            has them.
        baselines: By name, the metrics of classifiers that do not listen, if the result has them.
        unscored: Names of the classes that no macro average includes.
    """

    name: str
    clips: int
    metrics: Mapping[str, Score]
    classes: Sequence[Mapping[str, Any]] = ()
    confusion: Sequence[Sequence[float]] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unscored: Sequence[str] = ()


@dataclass(frozen=True)
class FoundProbe:
    """A probe result.

    Attributes:
        folder: Where it is.
        task: Name of the task.
        model: What the report calls the model.
        run: Its run; None for a model without one.
        content: Its probe.json.
        test_sets: Its scores.
    """

    folder: Path
    task: str
    model: str
    run: FoundRun | None
    content: Mapping[str, Any]
    test_sets: Sequence[FoundSet]

    @property
    def settings(self) -> str:
        """Names everything but the model that decides the scores: only equal ones compare."""
        keys = ("task", "options", "protocol", "recipe", "classes", "counts")
        settings = {key: self.content.get(key) for key in keys}
        sizes = [(one.name, one.clips) for one in self.test_sets]
        return json.dumps(
            [settings, sizes, self.label_fractions, self.deformations], sort_keys=True
        )

    @property
    def deformations(self) -> list[str]:
        """What was done to test clips to see what a score loses, such as `noise 20 dB`."""
        return list(dict.fromkeys(one["deformation"] for one in self.content.get("deformed") or ()))

    @property
    def label_fractions(self) -> list[float]:
        """Shares of the training clips that it was tried with, too."""
        return [budget["fraction"] for budget in self.content.get("label_budgets") or ()]


def read_probe(folder: Path, run: FoundRun | None) -> FoundProbe:
    """Read the result in a folder. Raises MscolError, KeyError, TypeError, ValueError."""
    content = read_json(folder / PROBE, "probe result")
    name = str(content["model"])
    # A run's own name in the report, and the step that was probed.
    step = name.rpartition("@")[2]
    model = f"{run.label}@{step}" if run is not None and "@" in name else name
    sets = [test_set(one) for one in content["test_sets"]]
    return FoundProbe(folder, str(content["task"]), model, run, content, sets)


def test_set(content: Mapping[str, Any]) -> FoundSet:
    """Take what a probe.json says of one test set. Raises KeyError, TypeError."""
    return FoundSet(
        name=str(content["name"]),
        clips=int(content["clips"]),
        metrics={name: score_from_json(score) for name, score in content["metrics"].items()},
        classes=content.get("classes") or (),
        confusion=content.get("confusion") or (),
        baselines=content.get("baselines") or {},
        unscored=content.get("unscored") or (),
    )


def score_from_json(content: Mapping[str, Any]) -> Score:
    """Take what a probe.json says of one score. Raises KeyError, TypeError."""
    known = {item.name for item in fields(Score)}
    values = {name: value for name, value in content.items() if name in known}
    return Score(**{**values, "per_seed": tuple(values["per_seed"])})
