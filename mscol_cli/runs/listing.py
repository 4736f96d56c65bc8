"""`runs`: listing runs, showing one, and comparing several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mscol_cli.contracts.watched import ONLINE_PROBE
from mscol_cli.errors import MissingDataError
from mscol_cli.runs.layout import CHECKPOINTS, LATEST, RECIPE, RUN, RUNS
from mscol_cli.runs.metrics import METRICS
from mscol_cli.runs.record import ProbeScore, RunRecord, open_run, open_runs, read_run_folder
from mscol_cli.runs.settings import flat_settings, software_of
from mscol_cli.system.files import relative_to_here

MARKS = (RUN, RECIPE, METRICS, CHECKPOINTS)
"""Files that distinguish a run, even a damaged one, from other folders, such as a study."""


@dataclass(frozen=True)
class RunSummary:
    """One line of the list.

    Attributes:
        name: Name of the run folder.
        folder: The run folder.
        latest: Whether `latest` points at it.
        objective: Name of the objective; empty if the settings cannot be read.
        encoder: Name of the encoder.
        step: Number of training steps so far.
        steps: Total number of training steps.
        loss: Last mean loss.
        accuracy: Last mean accuracy of the association.
        probes: Headline score of each probe report, by name.
        headlines: The score of one report per task.
        online: Last score of the online probe, by task.
        state: `running`, `finished`, `interrupted`, `failed`, `imported`, `damaged`, or `stopped`
            if the reason is unknown.
        reason: Why the run stopped.
        age_s: Seconds since the last write.
        problems: Problems with the folder.
    """

    name: str
    folder: Path
    latest: bool
    objective: str
    encoder: str
    step: int
    steps: int
    loss: float | None
    accuracy: float | None
    probes: Mapping[str, float]
    headlines: Mapping[str, float]
    online: Mapping[str, float]
    state: str
    reason: str
    age_s: float
    problems: Sequence[str]


@dataclass(frozen=True)
class RunDetails:
    """Details of one run.

    Attributes:
        summary: Its line of the list.
        settings: Settings by dotted name.
        software: Versions at the start of the run and state of the git checkout, by name.
        metrics: Last value of each metric.
        probes: Headline scores of its probe reports.
        checkpoints: Steps of the existing checkpoints.
    """

    summary: RunSummary
    settings: Mapping[str, Any]
    software: Mapping[str, Any]
    metrics: Mapping[str, float]
    probes: Sequence[ProbeScore]
    checkpoints: Sequence[int]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side. Each value is a list with one entry per run, None if missing.

    Attributes:
        runs: Names of the runs.
        settings: Settings by dotted name.
        software: Versions and state of the git checkout, by name.
        metrics: Last values by name.
        probes: Headline scores by name and metric.
    """

    runs: Sequence[str]
    settings: Mapping[str, Sequence[Any]]
    software: Mapping[str, Sequence[Any]]
    metrics: Mapping[str, Sequence[float | None]]
    probes: Mapping[str, Sequence[float | None]]


def list_runs(folder: Path | None = None) -> list[RunSummary]:
    """Every run in a folder, most recently written first.

    Raises:
        MissingDataError: The folder does not exist.
    """
    folder = folder or RUNS
    if not folder.is_dir():
        raise MissingDataError(f"{folder} is not a folder: 'mscol pretrain' creates {RUNS}/.")
    latest = (folder / LATEST).resolve()
    runs = [
        summarise(read_run_folder(path), path.resolve() == latest) for path in _run_folders(folder)
    ]
    # `show` finds a run outside of the folder by its path.
    named = [
        run if run.folder.parent in (folder, folder.parent) else replace(run, name=str(run.folder))
        for run in runs
    ]
    return sorted(named, key=lambda run: run.age_s)


def _run_folders(folder: Path) -> Iterator[Path]:
    if (folder / RUN).exists():
        yield folder
        return
    latest = (folder / LATEST).resolve()
    # The latest run may lie outside of the folder.
    if latest.is_dir() and latest.parent != folder.resolve():
        yield relative_to_here(latest)
    for path in folder.iterdir():
        hidden = path.name == LATEST or path.name.startswith(".")
        if path.is_dir() and not hidden and any((path / name).exists() for name in MARKS):
            yield path


def show_run(name: str) -> RunDetails:
    """Details of one run.

    Raises:
        MissingDataError: The run does not exist.
        UsageError: Its settings cannot be read.
    """
    run = open_run(name)
    return RunDetails(
        summarise(run),
        flat_settings(run.info),
        software_of(run.info),
        run.last(),
        run.probes,
        run.checkpoints,
    )


def compare_runs(names: Sequence[str], everything: bool = False) -> Comparison:
    """Compare runs: differing settings and software, or all with `everything`.

    Raises:
        MissingDataError: A run does not exist.
        UsageError: The settings of a run cannot be read.
    """
    runs = open_runs(names)
    settings = _columns([flat_settings(run.info) for run in runs])
    software = _columns([software_of(run.info) for run in runs])
    scores = [{f"{score.name} {score.metric}": score.value for score in run.probes} for run in runs]
    return Comparison(
        names_of(runs),
        settings if everything else _different(settings),
        software if everything else _different(software),
        _columns([run.last() for run in runs]),
        _columns(scores),
    )


def _different(columns: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    return {name: row for name, row in columns.items() if any(row[0] != value for value in row)}


def names_of(runs: Sequence[RunRecord]) -> list[str]:
    """Names of runs: folder names, or paths if two folders share a name."""
    names = [run.folder.name for run in runs]
    clash = len(set(names)) < len(names)
    return [str(run.folder) for run in runs] if clash else names


def summarise(run: RunRecord, latest: bool = False) -> RunSummary:
    """Summarise a run as a line of the list."""
    last = run.last()
    return RunSummary(
        name=run.folder.name,
        folder=run.folder,
        latest=latest,
        objective=str(run.info.get("objective", {}).get("name", "")),
        encoder=str(run.info.get("encoder", {}).get("name", "")),
        step=run.step,
        steps=run.steps,
        loss=last.get("loss"),
        accuracy=last.get("accuracy"),
        probes={score.name: score.value for score in run.probes},
        headlines={score.name: score.value for score in _headlines(run.probes)},
        online={
            name.removeprefix(ONLINE_PROBE): value
            for name, value in last.items()
            if name.startswith(ONLINE_PROBE)
        },
        state=run.state.state,
        reason=run.state.reason,
        age_s=round(run.age_s, 1),
        problems=tuple(run.problems),
    )


def _headlines(scores: Sequence[ProbeScore]) -> Iterator[ProbeScore]:
    """The score with the shortest name, hence the fewest options, of each task."""
    for task in dict.fromkeys(score.task for score in scores):
        yield min(
            (score for score in scores if score.task == task), key=lambda score: len(score.name)
        )


def _columns(tables: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: [table.get(name) for table in tables] for name in names}
