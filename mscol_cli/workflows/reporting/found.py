"""Which runs and which probe results a report is about, read from their folders."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from mscol_cli.checkpoints.folder import latest_checkpoint
from mscol_cli.checkpoints.runs import LATEST, read_run
from mscol_cli.engine.metrics import read_metrics
from mscol_cli.errors import MissingDataError, MscolError, UsageError
from mscol_cli.files import read_json
from mscol_cli.reports.tables import Score

RUN, PROBE, PROBES = "run.json", "probe.json", "probes"
Found = TypeVar("Found")
Failures = list[tuple[str, str]]


@dataclass(frozen=True)
class FoundRun:
    """A run.

    Attributes:
        label: What the report calls it; no two runs share it.
        folder: Where it is.
        info: Its run.json.
        metrics: Lines of its metrics.jsonl that have a step.
        step: Updates of its newest checkpoint; None while it has none.
    """

    label: str
    folder: Path
    info: Mapping[str, Any]
    metrics: Sequence[Mapping[str, float]]
    step: int | None

    @property
    def title(self) -> str:
        """Its label, and what it learned from where that does not say so."""
        objective = str(self.info.get("objective", {}).get("name", ""))
        return self.label if objective in self.label else f"{self.label} ({objective})"

    @property
    def training(self) -> Mapping[str, Any]:
        """Its training settings; empty for an imported model."""
        training: Mapping[str, Any] = self.info.get("training", {})
        return training

    @property
    def store(self) -> Mapping[str, str] | None:
        """Path and hash of the store it was trained on; None for an imported model."""
        store: Mapping[str, str] | None = self.info.get("store")
        return store


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
    """

    name: str
    clips: int
    metrics: Mapping[str, Score]
    classes: Sequence[Mapping[str, Any]] = ()
    confusion: Sequence[Sequence[float]] = ()


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
        return json.dumps([settings, sizes, self.label_fractions], sort_keys=True)

    @property
    def label_fractions(self) -> list[float]:
        """Shares of the training clips that it was tried with, too."""
        return [budget["fraction"] for budget in self.content.get("label_budgets") or ()]


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

    def style(self, run: FoundRun | None) -> int:
        """The colour and dash of a run, the same in every picture."""
        return next((row for row, one in enumerate(self.runs) if one is run), len(self.runs))


def find_material(paths: Sequence[Path], probes: Sequence[Path] = ()) -> Material:
    """Read runs, and the probes in them.

    Args:
        paths: Run folders, and folders that hold some, or hold a `runs` folder; of those, results
            in `probes` are taken, too.
        probes: More folders of probe results, such as those of an untrained encoder.

    Raises:
        MissingDataError: There is no such folder, or no run in it.
    """
    failures: Failures = []
    folders = _unique(folder for path in paths for folder in _runs_in(path))
    labels = _labels(folders)
    runs = list(_readable(folders, lambda folder: _run(labels[folder], folder), failures))
    found = [
        probe
        for run in runs
        for probe in _readable(_results_in(run.folder / PROBES), _reader(run), failures)
    ]
    other = [
        *(folder for path in paths for folder in _results_in(path / PROBES)),
        *(folder for path in probes for folder in _named_results(path)),
    ]
    own = {probe.folder.resolve() for probe in found}
    others = [folder for folder in _unique(other) if folder.resolve() not in own]
    found += _readable(others, _reader(None), failures)
    return Material(runs, found, failures)


def _runs_in(path: Path) -> list[Path]:
    if not path.is_dir():
        raise MissingDataError(f"{path} is no folder: name a run folder, or one that holds runs.")
    if (path / RUN).is_file():
        return [path.resolve() if path.name == LATEST else path]
    places = [path / "runs", path]
    found = [
        run.parent for place in places for run in place.glob(f"*/{RUN}") if not _is_latest(run)
    ]
    if not found:
        raise MissingDataError(f"{path} holds no run: train one with 'mscol pretrain'.")
    return sorted(found, key=_started)


def _is_latest(run: Path) -> bool:
    return run.parent.name == LATEST and run.parent.is_symlink()


def _started(folder: Path) -> tuple[float, str]:
    """When a run began, as its recipe, which nothing writes again, tells."""
    recipe = folder / "recipe.toml"
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


def _run(label: str, folder: Path) -> FoundRun:
    info = read_run(folder)
    if not isinstance(info["encoder"]["name"], str):
        raise UsageError(f"{folder / RUN} names no encoder: restore it, or leave the run out.")
    lines = [line for line in read_metrics(folder) if _is_number(line.get("step"))]
    found = latest_checkpoint(folder)
    return FoundRun(label, folder, info, lines, found.step if found else None)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _results_in(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(PROBE))


def _named_results(folder: Path) -> list[Path]:
    found = _results_in(folder)
    if not found:
        raise MissingDataError(f"{folder} holds no {PROBE}: make one with 'mscol probe'.")
    return found


def _reader(run: FoundRun | None) -> Callable[[Path], FoundProbe]:
    return lambda folder: _probe(folder, run)


def _probe(folder: Path, run: FoundRun | None) -> FoundProbe:
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
        metrics={name: _score(score) for name, score in content["metrics"].items()},
        classes=content.get("classes") or (),
        confusion=content.get("confusion") or (),
    )


def _score(content: Mapping[str, Any]) -> Score:
    known = {item.name for item in fields(Score)}
    values = {name: value for name, value in content.items() if name in known}
    return Score(**{**values, "per_seed": tuple(values["per_seed"])})
