"""The result of a probe, and reading and writing of its file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mscol_cli.probe.attributed import Attribution
from mscol_cli.probe.groups import describe_size
from mscol_cli.probe.saved_head import SavedHead
from mscol_cli.runs.layout import PROBE_REPORT
from mscol_cli.system.files import write_json
from mscol_cli.system.json_files import parsing, read_json
from mscol_cli.system.values import as_json, from_json

PAGE, SCORES = "probe.md", "scores.safetensors"
LABELS_PICTURE, SOURCES_PICTURE = "labels.png", "sources.png"


@dataclass(frozen=True)
class Score:
    """A metric on the test clips.

    Attributes:
        value: Mean over seeds.
        low: Lower bound of the 95 % bootstrap interval of the mean, over test clips or groups.
        high: Upper bound of the interval.
        std_over_seeds: Standard deviation over seeds, 0 for one seed.
        per_seed: Score of the classifier of each seed.
    """

    value: float
    low: float
    high: float
    std_over_seeds: float
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class ClassScore:
    """Scores of a class against all others on the test clips, as means over seeds.

    Attributes:
        name: Name of the class.
        support: Number of test clips of the class.
        scores: Scores by metric; None if the class has no positives or no negatives.
    """

    name: str
    support: int
    scores: Mapping[str, float | None]

    def as_json(self) -> dict[str, Any]:
        """Return name, support and scores in one object."""
        return {"name": self.name, "support": self.support, **self.scores}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClassScore:
        """Build from the result of `as_json`."""
        scores = dict(content)
        return cls(scores.pop("name"), scores.pop("support"), scores)


@dataclass(frozen=True)
class ScoredSet:
    """Scores on one set of test clips; scores on different sets are not comparable.

    Attributes:
        name: Name of the test set.
        clips: Number of scored clips.
        metrics: Scores by metric, the headline first.
        unscored: Classes without positives or without negatives, left out of macro averages.
        classes: Scores of every class, in label order.
        confusion: For a single-label task, clips by true class (rows) and predicted class
            (columns), in label order, summed over seeds.
        baselines: Metrics of trivial classifiers, `chance` and `majority class`, by name.
        unit: What is scored: `clips`, or `queries` of stem retrieval.
        grouped_by: Kind of group that intervals and tests draw as a whole, such as `artist`; empty
            if they draw clips.
        groups: Number of these groups; 0 if clips are drawn.
    """

    name: str
    clips: int
    metrics: Mapping[str, Score]
    unscored: Sequence[str] = ()
    classes: Sequence[ClassScore] = ()
    confusion: Sequence[Sequence[int]] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unit: str = "clips"
    grouped_by: str = ""
    groups: int = 0

    @property
    def size(self) -> str:
        """Number of clips, and of the groups that are drawn."""
        return describe_size(self.clips, self.unit, self.grouped_by, self.groups)

    @property
    def drawn(self) -> int:
        """Number of groups, or of clips, that are drawn."""
        return self.groups or self.clips

    @property
    def headline(self) -> tuple[str, Score]:
        """Name and score of the first metric."""
        return next(iter(self.metrics.items()))

    @property
    def title(self) -> str:
        """Name and size of the test set."""
        return f"{self.name} ({self.size})"


@dataclass(frozen=True)
class CorruptedScore:
    """A metric on corrupted test clips, of classifiers trained on clean clips.

    Attributes:
        deformation: Name of the corruption, such as `noise 20 dB`.
        test_set: Name of the test set.
        metric: Name of the metric.
        clips: Number of clips that have both clean and corrupted scores.
        score: Score on the corrupted clips.
        loss: Score on the clean clips minus `score`.
        low: Lower bound of the 95 % interval of the loss, on the same clips.
        high: Upper bound of the interval.
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
    """Groups that test and training clips share, such as artists.

    Attributes:
        kind: Kind of group, such as `artist`.
        groups: Number of groups in the test clips.
        shared: Number of these that are also in the training clips.
        clips: Number of test clips with a known group.
        shared_clips: Number of these in a shared group.
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
        fraction: Requested share.
        clips: Number of training clips, as a mean over seeds, which draw different clips.
        test_sets: Scores, the headline set first.
    """

    fraction: float
    clips: float
    test_sets: Sequence[ScoredSet]


@dataclass(frozen=True)
class ProbeResult:
    """Result of a probe.

    Attributes:
        task: Name of the task.
        data: Folder of the data set.
        options: Options of the task.
        protocol: Options of the protocol.
        recipe: Name of the recipe; empty for none.
        model: Name of the model.
        model_hash: Hash of the weights.
        model_step: Number of training steps of the model.
        seeds: Number of trained classifiers; 0 for stem retrieval.
        test_sets: Scores, the headline set first.
        counts: Number of embedded clips, by split.
        windows: Number of windows, by split.
        classes: Names of the classes, in label order.
        best_epochs: Best epoch of the classifier of each seed.
        missing: Clips in the metadata that have no audio.
        failures: Name and reason of each clip whose audio could not be used.
        shortfalls: Description of the missing audio of incomplete clips, by clip name.
        notes: Notes on the scores.
        seconds: Duration of each stage.
        multilabel: Whether a clip may have several labels.
        weight_decays: Weight decay of the classifier of each seed, if chosen on validation.
        valid_scores: The protocol's `select` metric on validation clips, of each seed's classifier.
        label_budgets: Scores with fewer labelled clips.
        shared_groups: Groups that training and test clips share.
        attribution: Scores by source of the test clips.
        deformed: Scores on corrupted test clips.
        head: The saved classifier; None if none was saved.
        data_hash: `data_hash` of the data set; empty for stem retrieval, and in older results.
        folder: Folder of the result; not stored in the file.
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
    shortfalls: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    multilabel: bool = False
    weight_decays: Sequence[float] = ()
    valid_scores: Sequence[float] = ()
    label_budgets: Sequence[LabelBudget] = ()
    shared_groups: Sequence[SharedGroups] = ()
    attribution: Attribution | None = None
    deformed: Sequence[CorruptedScore] = ()
    head: SavedHead | None = None
    data_hash: str = ""
    folder: Path = Path()

    @property
    def lacks_groups(self) -> bool:
        """Whether intervals are over single clips, as before groups of them were drawn."""
        grouped = any(test_set.grouped_by for test_set in self.test_sets)
        return not grouped and any(kind.groups < kind.clips for kind in self.shared_groups)

    @property
    def is_retrieval(self) -> bool:
        """Whether stems were retrieved, without a classifier."""
        return self.seeds == 0

    @property
    def json_path(self) -> Path:
        """Path of the JSON file."""
        return self.folder / PROBE_REPORT

    @property
    def markdown_path(self) -> Path:
        """Path of the page."""
        return self.folder / PAGE

    @property
    def scores_path(self) -> Path:
        """Path of the scores of all test clips."""
        return self.folder / SCORES

    @property
    def picture_path(self) -> Path | None:
        """Path of the plot of scores by number of labels, if there are any."""
        return self.folder / LABELS_PICTURE if self.label_budgets else None

    @property
    def sources_path(self) -> Path | None:
        """Path of the plot of scores by source, if there are any."""
        return self.folder / SOURCES_PICTURE if self.attribution is not None else None

    @property
    def paths(self) -> dict[str, Path | None]:
        """Paths of all files, by their name in `--json`."""
        names = ("json_path", "markdown_path", "scores_path", "picture_path", "sources_path")
        return {name: getattr(self, name) for name in names}

    @property
    def settings(self) -> str:
        """Everything but the model that determines the scores; results compare if it is equal."""
        names = ("task", "options", "protocol", "recipe", "classes", "counts")
        settings = {name: as_json(getattr(self, name)) for name in names}
        sizes = [(test_set.name, test_set.clips) for test_set in self.test_sets]
        return json.dumps([settings, sizes, self.label_fractions, self.corruptions], sort_keys=True)

    @property
    def corruptions(self) -> list[str]:
        """Names of the corruptions of test clips, such as `noise 20 dB`."""
        return list(dict.fromkeys(score.deformation for score in self.deformed))

    @property
    def label_fractions(self) -> list[float]:
        """Shares of the training clips in `label_budgets`."""
        return [budget.fraction for budget in self.label_budgets]

    def as_json(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        names = [item.name for item in fields(self) if item.name != "folder"]
        return {name: getattr(self, name) for name in names}


def write(result: ProbeResult) -> None:
    """Write a result to its folder. Raises OSError."""
    write_json(result.json_path, as_json(result))


def read(folder: Path) -> ProbeResult:
    """Read the result in a folder.

    Raises:
        MissingDataError: The folder has no result.
        UsageError: The result cannot be read.
    """
    content = read_json(folder / PROBE_REPORT, "result of a probe")
    with parsing(folder / PROBE_REPORT, "probe again."):
        return replace(from_json(ProbeResult, content), folder=folder)
