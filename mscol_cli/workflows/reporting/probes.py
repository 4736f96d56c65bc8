"""A probe result as a report sees it, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mscol_cli.files import read_json
from mscol_cli.reports.tables import Score
from mscol_cli.workflows.reporting.runs import FoundRun

PROBE = "probe.json"


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
        metrics={name: take_score(score) for name, score in content["metrics"].items()},
        classes=content.get("classes") or (),
        confusion=content.get("confusion") or (),
        baselines=content.get("baselines") or {},
        unscored=content.get("unscored") or (),
    )


def take_score(content: Mapping[str, Any]) -> Score:
    """Take what a probe.json says of one score. Raises KeyError, TypeError."""
    known = {item.name for item in fields(Score)}
    values = {name: value for name, value in content.items() if name in known}
    return Score(**{**values, "per_seed": tuple(values["per_seed"])})
