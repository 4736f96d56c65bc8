"""Runs and probe results of a report, and their grouping."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.probe.compare import Finished, join
from mscol_cli.probe.metrics import find_metric
from mscol_cli.probe.result import ProbeResult, Score, ScoredSet, read
from mscol_cli.probe.table import JointTable
from mscol_cli.runs.layout import LATEST, PROBE_REPORT, PROBES, RECIPE, RUN, RUNS, find_named
from mscol_cli.runs.record import RunRecord, read_valid_run
from mscol_cli.system.json_files import INVALID

T = TypeVar("T")
Failures = list[tuple[str, str]]
HASH_DIGITS = 6
NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class FoundRun(RunRecord):
    """A run with valid settings.

    Attributes:
        label: Unique label in the report.
    """

    label: str

    @property
    def title(self) -> str:
        """The label, with the objective if the label does not contain it."""
        objective = str(self.info.get("objective", {}).get("name", ""))
        return self.label if objective in self.label else f"{self.label} ({objective})"


@dataclass(frozen=True)
class FoundProbe:
    """A probe result.

    Attributes:
        result: The result, with the display name of its model.
        run: The run of the model; None for a model without a run.
        reference: Name of the model as recorded.
    """

    result: ProbeResult
    run: FoundRun | None
    reference: str

    @property
    def model(self) -> str:
        """Display name of the model."""
        return self.result.model


@dataclass(frozen=True)
class Material:
    """Content of a report.

    Attributes:
        runs: Runs, in the requested order.
        probes: Probe results of the runs, then others.
        failures: Path and reason of each folder that could not be read.
    """

    runs: Sequence[FoundRun]
    probes: Sequence[FoundProbe]
    failures: Failures = field(default_factory=list)

    @cached_property
    def groups(self) -> list[Group]:
        """Groups of results with equal settings, which compare."""
        return group_probes(self.probes)

    def style(self, run: FoundRun | None) -> int:
        """Index of the colour and dash of a run, the same in every picture."""
        indices = (index for index, other in enumerate(self.runs) if other is run)
        return next(indices, len(self.runs))


@dataclass(frozen=True)
class Group:
    """Results of several models on one task, with the same settings and clips.

    Attributes:
        name: Unique name: the task, its recipe, and settings or a number if necessary.
        probes: Results, one per model.
    """

    name: str
    probes: Sequence[FoundProbe]

    @property
    def test_sets(self) -> Sequence[ScoredSet]:
        """Test sets of the first result; all results have the same."""
        return self.probes[0].result.test_sets

    @cached_property
    def table(self) -> JointTable:
        """Table of all results, with every pair of models compared."""
        return join([Finished(probe.model, probe.result) for probe in self.probes])

    @property
    def headlines(self) -> Sequence[tuple[ScoredSet, str]]:
        """The first metric of each test set; for tagging, as in papers, all metrics."""
        if self.probes[0].result.multilabel:
            return self.columns
        return [(test_set, test_set.headline[0]) for test_set in self.test_sets]

    @property
    def columns(self) -> list[tuple[ScoredSet, str]]:
        """All test sets and metrics."""
        return [(test_set, name) for test_set in self.test_sets for name in test_set.metrics]

    def where(self, test_set: ScoredSet) -> str:
        """Name of the group, and of the test set if there are several."""
        return self.name if len(self.test_sets) == 1 else f"{self.name}, {test_set.name}"

    def column_title(self, test_set: ScoredSet, metric: str) -> str:
        """Title of a column of scores."""
        name = "" if len(self.test_sets) == 1 else f"{test_set.name}, "
        return f"{find_metric(metric).label} ({name}{test_set.size})"


def find_material(paths: Sequence[Path], probes: Sequence[Path] = ()) -> Material:
    """Read runs and their probe results.

    Args:
        paths: Run folders, names of runs under `runs/`, and folders that contain runs or a `runs`
            folder; results in a `probes` folder of the latter are included.
        probes: Additional folders of probe results, such as those of an untrained encoder.

    Raises:
        MissingDataError: A folder does not exist, or contains no run.
    """
    failures: Failures = []
    paths = [find_named(path) or path for path in paths]
    folders = _unique(folder for path in paths for folder in _runs_in(path))
    labels = _labels(folders)
    runs = list(_readable(folders, lambda folder: _read_run(folder, labels[folder]), failures))
    failures += [(str(run.folder), problem) for run in runs for problem in run.problems]
    results: list[FoundProbe] = []
    for run in runs:
        of_run = _results_in(run.folder / PROBES)
        results += _readable(of_run, partial(_read_probe, run=run), failures)
    other = [
        *(folder for path in paths for folder in _results_in(path / PROBES)),
        *(folder for path in probes for folder in _named_results(path)),
    ]
    known = {probe.result.folder.resolve() for probe in results}
    others = [folder for folder in _unique(other) if folder.resolve() not in known]
    results += _readable(others, _read_probe, failures)
    return Material(runs, list(_told_apart(results)), failures)


def _runs_in(path: Path) -> list[Path]:
    if not path.is_dir():
        raise MissingDataError(f"{path} is not a folder: name a run folder, or a folder of runs.")
    if (path / RUN).is_file():
        return [path]
    files = [*(path / RUNS).glob(f"*/{RUN}"), *path.glob(f"*/{RUN}")]
    runs = [file.parent for file in files if not _is_latest(file)]
    if not runs and any(path.glob(f"*/{PROBE_REPORT}")):
        raise MissingDataError(f"{path} has probe results but no run: use --probes {path}.")
    if not runs:
        raise MissingDataError(f"{path} has no run: train one with 'mscol pretrain'.")
    return sorted(runs, key=_started)


def _is_latest(run: Path) -> bool:
    return run.parent.name == LATEST and run.parent.is_symlink()


def _started(folder: Path) -> tuple[float, str]:
    """Start time of a run: the time of its recipe, which is written only once."""
    recipe = folder / RECIPE
    return (recipe if recipe.exists() else folder / RUN).stat().st_mtime, folder.name


def _unique(folders: Iterable[Path]) -> list[Path]:
    return list({folder.resolve(): folder for folder in folders}.values())


def _labels(folders: Sequence[Path]) -> dict[Path, str]:
    """The shortest unique ends of the paths."""
    paths = {folder: folder.resolve().parts for folder in folders}
    for length in range(1, max((len(parts) for parts in paths.values()), default=0) + 1):
        short = {folder: "/".join(parts[-length:]) for folder, parts in paths.items()}
        if len(set(short.values())) == len(folders):
            return short
    return {folder: str(folder) for folder in folders}


def _readable(
    folders: Iterable[Path], read: Callable[[Path], T], failures: Failures
) -> Iterator[T]:
    """Yield what can be read; adds the rest to the failures."""
    for folder in folders:
        try:
            yield read(folder)
        except MscolError as error:
            failures.append((str(folder), str(error)))
        except (*INVALID, OSError) as error:
            failures.append((str(folder), f"{folder} cannot be read ({error}): recreate it."))


def _results_in(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(PROBE_REPORT))


def _named_results(folder: Path) -> list[Path]:
    results = _results_in(folder)
    if not results:
        raise MissingDataError(f"{folder} has no {PROBE_REPORT}: create one with 'mscol probe'.")
    return results


def _read_run(folder: Path, label: str) -> FoundRun:
    return FoundRun(**vars(read_valid_run(folder, probes=False)), label=label)


def _read_probe(folder: Path, run: FoundRun | None = None) -> FoundProbe:
    result = read(folder)
    recorded = result.model
    if run is not None and "@" in recorded:
        # The label of the run in the report, and the step of the probed checkpoint.
        result = replace(result, model=f"{run.label}@{recorded.rpartition('@')[2]}")
    return FoundProbe(result, run, recorded)


def _told_apart(probes: Sequence[FoundProbe]) -> Iterator[FoundProbe]:
    """Yield results in which models of the same name have the start of their hash, too."""
    hashes: dict[str, set[str]] = {}
    for probe in probes:
        hashes.setdefault(probe.model, set()).add(probe.result.model_hash)
    for probe in probes:
        if len(hashes[probe.model]) > 1:
            name = f"{probe.model} ({probe.result.model_hash[:HASH_DIGITS]})"
            yield replace(probe, result=replace(probe.result, model=name))
        else:
            yield probe


def group_probes(probes: Sequence[FoundProbe]) -> list[Group]:
    """Group results by their settings.

    Of several results with the same settings, data and weights, such as with and without scores by
    source, only the first is used. Data are told apart by their folder if a model has results on
    several, such as two versions of a data set; the folders of two machines may differ otherwise.
    """
    by_settings: dict[str, list[FoundProbe]] = {}
    for probe in probes:
        by_settings.setdefault(probe.result.settings, []).append(probe)
    groups: dict[tuple[str, str], dict[tuple[str, str], FoundProbe]] = {}
    for settings, of_settings in by_settings.items():
        folders: dict[tuple[str, str], set[str]] = {}
        for probe in of_settings:
            folders.setdefault(_model_of(probe), set()).add(probe.result.data)
        apart = any(len(of_model) > 1 for of_model in folders.values())
        for probe in of_settings:
            group = groups.setdefault((settings, probe.result.data if apart else ""), {})
            group.setdefault(_model_of(probe), probe)
    return list(_named([list(group.values()) for group in groups.values()]))


def _model_of(probe: FoundProbe) -> tuple[str, str]:
    return probe.model, probe.result.model_hash


def score_of(probe: FoundProbe, test_set: ScoredSet, metric: str) -> Score | None:
    """Score of a result on the test set of the same name."""
    return set_of(probe, test_set).metrics.get(metric)


def set_of(probe: FoundProbe, test_set: ScoredSet) -> ScoredSet:
    """Test set of a result with the same name."""
    return next(other for other in probe.result.test_sets if other.name == test_set.name)


def file_name(*parts: str) -> str:
    """Join words to a file name."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def _named(groups: Sequence[list[FoundProbe]]) -> Iterator[Group]:
    """Name groups by task, recipe, and the settings in which groups of these differ."""
    bases = [_base(group[0]) for group in groups]
    seen: dict[str, int] = {}
    for base, group in zip(bases, groups, strict=True):
        rivals = [other[0] for name, other in zip(bases, groups, strict=True) if name == base]
        name = ", ".join([base, *_distinct(group[0], rivals)])
        seen[name] = seen.get(name, 0) + 1
        yield Group(name if seen[name] == 1 else f"{name} ({seen[name]})", group)


def _base(probe: FoundProbe) -> str:
    recipe = f", recipe {probe.result.recipe}" if probe.result.recipe else ""
    return f"{probe.result.task}{recipe}"


def _distinct(probe: FoundProbe, rivals: Sequence[FoundProbe]) -> Iterator[str]:
    """Yield the settings of a result that all rivals have, with different values."""
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
        "with": ", ".join(result.corruptions),
    }
    return {name: str(value) for name, value in stated.items()}
