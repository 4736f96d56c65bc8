"""Which runs and probe results a report is about, and how they are grouped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.probe.compare import Finished, join
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.result import ProbeResult, Score, ScoredSet, read
from mscol_cli.probe.table import JointTable
from mscol_cli.runs.layout import LATEST, PROBE_REPORT, PROBES, RECIPE, RUN, RUNS, find_named
from mscol_cli.runs.trained import FoundRun, read_run

Found = TypeVar("Found")
Failures = list[tuple[str, str]]
NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class FoundProbe:
    """A probe result.

    Attributes:
        result: What was found, under the name that the report gives its model.
        run: Its run; None for a model without one.
    """

    result: ProbeResult
    run: FoundRun | None

    @property
    def model(self) -> str:
        """What the report calls its model."""
        return self.result.model


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        runs: In the order they were named.
        probes: Those of the runs, then others.
        failures: Folders that could not be read, and why.
    """

    runs: Sequence[FoundRun]
    probes: Sequence[FoundProbe]
    failures: Failures = field(default_factory=list)

    @cached_property
    def groups(self) -> list[Group]:
        """Results that compare, by their settings."""
        return group_probes(self.probes)

    def style(self, run: FoundRun | None) -> int:
        """The colour and dash of a run, the same in every picture."""
        return next((row for row, one in enumerate(self.runs) if one is run), len(self.runs))


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
    def test_sets(self) -> Sequence[ScoredSet]:
        """Those of the first result; the others have the same."""
        return self.probes[0].result.test_sets

    @cached_property
    def table(self) -> JointTable:
        """Every pair of models in every column, on the same test clips."""
        return join([Finished(probe.model, probe.result) for probe in self.probes])

    @property
    def headlines(self) -> Sequence[tuple[ScoredSet, str]]:
        """The first metric of a single-label task; of tagging all, as the literature has it."""
        if self.probes[0].result.multilabel:
            return self.columns
        return [(one, one.headline[0]) for one in self.test_sets]

    @property
    def columns(self) -> list[tuple[ScoredSet, str]]:
        """Test sets and metrics."""
        return [(one, metric) for one in self.test_sets for metric in one.metrics]

    def where(self, test_set: ScoredSet) -> str:
        """The group's name, and the test set's where there are several."""
        return self.name if len(self.test_sets) == 1 else f"{self.name}, {test_set.name}"

    def column_title(self, test_set: ScoredSet, metric: str) -> str:
        """The name of a column of scores."""
        name = "" if len(self.test_sets) == 1 else f"{test_set.name}, "
        return f"{find_metric(metric).label} ({name}{test_set.clips:,} clips)"


def find_material(paths: Sequence[Path], probes: Sequence[Path] = ()) -> Material:
    """Read runs, and the probes in them.

    Args:
        paths: Run folders or names of runs under `runs/`, and folders that hold some, or hold a
            `runs` folder; of those, results in `probes` are taken, too.
        probes: More folders of probe results, such as those of an untrained encoder.

    Raises:
        MissingDataError: There is no such folder, or no run in it.
    """
    failures: Failures = []
    paths = [find_named(path) or path for path in paths]
    folders = _unique(folder for path in paths for folder in _runs_in(path))
    labels = _labels(folders)
    runs = list(_readable(folders, lambda folder: read_run(labels[folder], folder), failures))
    failures += [(str(run.folder), problem) for run in runs for problem in run.problems]
    found = [
        probe
        for run in runs
        for probe in _readable(_results_in(run.folder / PROBES), _reader(run), failures)
    ]
    other = [
        *(folder for path in paths for folder in _results_in(path / PROBES)),
        *(folder for path in probes for folder in _named_results(path)),
    ]
    own = {probe.result.folder.resolve() for probe in found}
    others = [folder for folder in _unique(other) if folder.resolve() not in own]
    found += _readable(others, _reader(None), failures)
    return Material(runs, found, failures)


def _runs_in(path: Path) -> list[Path]:
    if not path.is_dir():
        raise MissingDataError(f"{path} is no folder: name a run folder, or one that holds runs.")
    if (path / RUN).is_file():
        return [path]
    places = [path / RUNS, path]
    found = [
        run.parent for place in places for run in place.glob(f"*/{RUN}") if not _is_latest(run)
    ]
    if not found and any(path.glob(f"*/{PROBE_REPORT}")):
        raise MissingDataError(f"{path} holds results of probes and no run: add --probes {path}.")
    if not found:
        raise MissingDataError(f"{path} holds no run: train one with 'mscol pretrain'.")
    return sorted(found, key=_started)


def _is_latest(run: Path) -> bool:
    return run.parent.name == LATEST and run.parent.is_symlink()


def _started(folder: Path) -> tuple[float, str]:
    """When a run began, as its recipe, which nothing writes again, tells."""
    recipe = folder / RECIPE
    return (recipe if recipe.exists() else folder / RUN).stat().st_mtime, folder.name


def _unique(folders: Iterable[Path]) -> list[Path]:
    return list({folder.resolve(): folder for folder in folders}.values())


def _labels(folders: Sequence[Path]) -> dict[Path, str]:
    """The shortest ends of paths that tell the folders apart."""
    whole = {folder: folder.resolve().parts for folder in folders}
    for length in range(1, max((len(parts) for parts in whole.values()), default=0) + 1):
        short = {folder: "/".join(parts[-length:]) for folder, parts in whole.items()}
        if len(set(short.values())) == len(folders):
            return short
    return {folder: str(folder) for folder in folders}


def _readable(
    folders: Iterable[Path], read: Callable[[Path], Found], failures: Failures
) -> Iterator[Found]:
    """What can be read; the rest is added to the failures."""
    for folder in folders:
        try:
            yield read(folder)
        except MscolError as error:
            failures.append((str(folder), str(error)))
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            failures.append((str(folder), f"{folder} cannot be read ({error}): make it anew."))


def _results_in(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(PROBE_REPORT))


def _named_results(folder: Path) -> list[Path]:
    found = _results_in(folder)
    if not found:
        raise MissingDataError(f"{folder} holds no {PROBE_REPORT}: make one with 'mscol probe'.")
    return found


def _reader(run: FoundRun | None) -> Callable[[Path], FoundProbe]:
    return lambda folder: _read_probe(folder, run)


def _read_probe(folder: Path, run: FoundRun | None) -> FoundProbe:
    result = read(folder)
    if run is not None and "@" in result.model:
        # A run's own name in the report, and the step that was probed.
        result = replace(result, model=f"{run.label}@{result.model.rpartition('@')[2]}")
    return FoundProbe(result, run)


def group_probes(probes: Sequence[FoundProbe]) -> list[Group]:
    """Results by their settings, in the order of the first of each; one of those that the same
    weights were given twice, such as with and without scores by source."""
    groups: dict[str, list[FoundProbe]] = {}
    seen: set[tuple[object, ...]] = set()
    for probe in probes:
        settings = probe.result.settings
        made = settings, probe.model, probe.result.model_hash
        if made not in seen:
            groups.setdefault(settings, []).append(probe)
            seen.add(made)
    return list(_named(list(groups.values())))


def score_of(probe: FoundProbe, test_set: ScoredSet, metric: str) -> Score | None:
    """The score of a result on the test set of that name."""
    return set_of(probe, test_set).metrics.get(metric)


def set_of(probe: FoundProbe, test_set: ScoredSet) -> ScoredSet:
    """The test set of that name."""
    return next(one for one in probe.result.test_sets if one.name == test_set.name)


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
    recipe = f", recipe {probe.result.recipe}" if probe.result.recipe else ""
    return f"{probe.result.task}{recipe}"


def _own(probe: FoundProbe, rivals: Sequence[FoundProbe]) -> Iterator[str]:
    """Settings of a result in which others differ, those that all of them state."""
    facts = _facts(probe)
    others = [_facts(rival) for rival in rivals]
    for name, value in facts.items():
        stated = all(name in other for other in others)
        if stated and value and len({other[name] for other in others}) > 1:
            yield f"{name.replace('_', ' ')} {value}"


def _facts(probe: FoundProbe) -> dict[str, str]:
    result = probe.result
    stated = {
        **result.options,
        **result.protocol,
        "labels": ", ".join(f"{share:g}" for share in result.label_fractions),
        "with": ", ".join(result.deformations),
    }
    return {name: str(value) for name, value in stated.items()}
