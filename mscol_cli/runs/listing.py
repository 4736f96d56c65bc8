"""`runs`: what runs there are, how they stand, and in what they differ."""

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


@dataclass(frozen=True)
class RunSummary:
    """One line of the list.

    Attributes:
        name: Of the run folder.
        folder: Where it is.
        latest: Whether `latest` points at it.
        objective: What it learns from; empty where its settings cannot be read.
        encoder: The network.
        step: Updates made.
        steps: Updates in all.
        loss: Last mean loss.
        accuracy: Last mean accuracy of the association.
        probes: By name of a report of `mscol probe`, its headline score.
        headlines: Those that stand for all: of each task one.
        online: By task, the last score of the online probe.
        state: `running`, `finished`, `interrupted`, `failed`, `imported`, `damaged`, or `stopped`
            where nothing more is known.
        reason: Why it stopped.
        age_s: Seconds since something was written.
        problems: What is wrong with the folder.
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
    """All there is to say of one run.

    Attributes:
        summary: Its line of the list.
        settings: By dotted name, everything it was told.
        software: By name, the versions it was started with, and the state of the git checkout.
        metrics: The last value of each metric.
        probes: Headlines of its probe reports.
        checkpoints: Updates of each checkpoint that is kept.
    """

    summary: RunSummary
    settings: Mapping[str, Any]
    software: Mapping[str, Any]
    metrics: Mapping[str, float]
    probes: Sequence[ProbeScore]
    checkpoints: Sequence[int]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; each value is a list with one entry per run, None where it has none.

    Attributes:
        runs: Their names.
        settings: By dotted name.
        software: Versions, and the state of the git checkout; these are nobody's settings.
        metrics: By name, the last values.
        probes: By name and metric, the headline scores.
    """

    runs: Sequence[str]
    settings: Mapping[str, Sequence[Any]]
    software: Mapping[str, Sequence[Any]]
    metrics: Mapping[str, Sequence[float | None]]
    probes: Mapping[str, Sequence[float | None]]


def list_runs(folder: Path | None = None) -> list[RunSummary]:
    """Every run in a folder, the one that was written to last first.

    Raises:
        MissingDataError: There is no such folder.
    """
    folder = folder or RUNS
    if not folder.is_dir():
        raise MissingDataError(f"{folder} is no folder of runs: 'mscol pretrain' makes {RUNS}/.")
    latest = (folder / LATEST).resolve()
    found = [summarise(read_run_folder(path), path.resolve() == latest) for path in _inside(folder)]
    # One that lies elsewhere is called by what `show` finds it by.
    named = [
        run if run.folder.parent in (folder, folder.parent) else replace(run, name=str(run.folder))
        for run in found
    ]
    return sorted(named, key=lambda run: run.age_s)


MARKS = (RUN, RECIPE, METRICS, CHECKPOINTS)
"""What tells a run, a damaged one too, from other folders, such as those of a study."""


def _inside(folder: Path) -> Iterator[Path]:
    if (folder / RUN).exists():
        yield folder
        return
    latest = (folder / LATEST).resolve()
    # The run that was started last may lie anywhere.
    if latest.is_dir() and latest.parent != folder.resolve():
        yield relative_to_here(latest)
    for path in folder.iterdir():
        hidden = path.name == LATEST or path.name.startswith(".")
        if path.is_dir() and not hidden and any((path / name).exists() for name in MARKS):
            yield path


def show_run(name: str) -> RunDetails:
    """One run in full.

    Raises:
        MissingDataError: There is none of that name.
        UsageError: Its settings cannot be read.
    """
    found = open_run(name)
    return RunDetails(
        summarise(found),
        flat_settings(found.info),
        software_of(found.info),
        found.last(),
        found.probes,
        found.checkpoints,
    )


def compare_runs(names: Sequence[str], everything: bool = False) -> Comparison:
    """Runs side by side: the settings and the software in which they differ, or all.

    Raises:
        MissingDataError: There is no run of one of the names.
        UsageError: Settings of one cannot be read.
    """
    found = open_runs(names)
    settings = _columns([flat_settings(run.info) for run in found])
    software = _columns([software_of(run.info) for run in found])
    scores = [{f"{one.name} {one.metric}": one.value for one in run.probes} for run in found]
    return Comparison(
        names_of(found),
        settings if everything else _different(settings),
        software if everything else _different(software),
        _columns([run.last() for run in found]),
        _columns(scores),
    )


def _different(columns: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    return {name: row for name, row in columns.items() if any(row[0] != value for value in row)}


def names_of(runs: Sequence[RunRecord]) -> list[str]:
    """What to call runs: by their folders' names, or by their paths where two share one."""
    names = [run.folder.name for run in runs]
    clash = len(set(names)) < len(names)
    return [str(run.folder) for run in runs] if clash else names


def summarise(run: RunRecord, latest: bool = False) -> RunSummary:
    """The line of the list."""
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
    """Of each task the result with the shortest name, which is that of the fewest extras."""
    tasks = dict.fromkeys(score.task for score in scores)
    for task in tasks:
        yield min((one for one in scores if one.task == task), key=lambda one: len(one.name))


def _columns(tables: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: [table.get(name) for table in tables] for name in names}
