"""Probe results that were made alike, and what their parts are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mscol_cli.reports.comparison import JointTable
from mscol_cli.reports.tables import Score
from mscol_cli.workflows.probe_compare import Finished, join
from mscol_cli.workflows.reporting.probes import FoundProbe, FoundSet

NO_BREAK = "\N{NO-BREAK SPACE}"
NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "macro ROC-AUC",
    "average_precision": "macro average precision",
}


@dataclass(frozen=True)
class Group:
    """Results of models on one task, all made with the same settings on the same clips.

    Attributes:
        name: Tells it from other groups: the task, its recipe, a number where needed.
        probes: The results, one per model.
    """

    name: str
    probes: Sequence[FoundProbe]

    @property
    def test_sets(self) -> Sequence[FoundSet]:
        """Those of the first result; the others have the same."""
        return self.probes[0].test_sets

    @cached_property
    def table(self) -> JointTable:
        """Every pair of models in every column, on the same test clips."""
        # Two runs of one name are told apart by what the report calls them.
        return join(
            [
                Finished(probe.model, probe.folder, {**probe.content, "model": probe.model})
                for probe in self.probes
            ]
        )

    @property
    def headlines(self) -> Sequence[tuple[FoundSet, str]]:
        """The first metric of a single-label task; of tagging all, as the literature has it."""
        if self.probes[0].content.get("multilabel"):
            return self.columns
        return [(one, next(iter(one.metrics))) for one in self.test_sets if one.metrics]

    @property
    def columns(self) -> list[tuple[FoundSet, str]]:
        """Test sets and metrics."""
        return [(one, metric) for one in self.test_sets for metric in one.metrics]

    def where(self, test_set: FoundSet) -> str:
        """The group's name, and the test set's where there are several."""
        return self.name if len(self.test_sets) == 1 else f"{self.name}, {test_set.name}"

    def column_title(self, test_set: FoundSet, metric: str) -> str:
        """The name of a column of scores."""
        name = "" if len(self.test_sets) == 1 else f"{test_set.name}, "
        return f"{NAMES.get(metric, metric)} ({name}{test_set.clips:,} clips)"


def group_probes(probes: Sequence[FoundProbe]) -> list[Group]:
    """Results by their settings, in the order of the first of each; one of those that the same
    weights were given twice, such as with and without scores by source."""
    groups: dict[str, list[FoundProbe]] = {}
    seen: set[tuple[object, ...]] = set()
    for probe in probes:
        made = probe.settings, probe.model, probe.content.get("model_hash")
        if made not in seen:
            groups.setdefault(probe.settings, []).append(probe)
            seen.add(made)
    return list(_named(list(groups.values())))


def score_of(probe: FoundProbe, test_set: FoundSet, metric: str) -> Score | None:
    """The score of a result on the test set of that name."""
    return set_of(probe, test_set).metrics.get(metric)


def set_of(probe: FoundProbe, test_set: FoundSet) -> FoundSet:
    """The test set of that name."""
    return next(one for one in probe.test_sets if one.name == test_set.name)


def file_name(*parts: str) -> str:
    """Words as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def _named(groups: Sequence[list[FoundProbe]]) -> Iterator[Group]:
    """Groups under the task and its recipe, and what they do differently from others of these."""
    bases = [_base(group[0]) for group in groups]
    seen: dict[str, int] = {}
    for base, group in zip(bases, groups, strict=True):
        rivals = [other[0] for name, other in zip(bases, groups, strict=True) if name == base]
        name = ", ".join([base, *_own(group[0], rivals)])
        seen[name] = seen.get(name, 0) + 1
        yield Group(name if seen[name] == 1 else f"{name} ({seen[name]})", group)


def _base(probe: FoundProbe) -> str:
    recipe = probe.content.get("recipe")
    return f"{probe.task}, recipe {recipe}" if recipe else probe.task


def _own(probe: FoundProbe, rivals: Sequence[FoundProbe]) -> Iterator[str]:
    """Settings of a result in which others differ, those that all of them state."""
    facts = _facts(probe)
    others = [_facts(rival) for rival in rivals]
    for name, value in facts.items():
        stated = all(name in other for other in others)
        if stated and value and len({other[name] for other in others}) > 1:
            yield f"{name.replace('_', ' ')} {value}"


def _facts(probe: FoundProbe) -> dict[str, str]:
    stated = {**probe.content.get("options", {}), **probe.content.get("protocol", {})}
    stated |= {
        "labels": ", ".join(f"{share:g}" for share in probe.label_fractions),
        "with": ", ".join(probe.deformations),
    }
    return {name: str(value) for name, value in stated.items()}
