"""Reading run folders, even damaged ones. Does not import torch, which is slow to load."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mscol_cli.errors import MissingDataError, MscolError, UsageError
from mscol_cli.runs.layout import (
    PROBE_REPORT,
    PROBES,
    RUN,
    RUNS,
    checkpoint_folders,
    find_named,
    read_run,
    step_of,
)
from mscol_cli.runs.metrics import METRICS, format_damage, split_damaged
from mscol_cli.runs.state import FINISHED, STATE, RunState, read_state
from mscol_cli.system.json_files import INVALID, read_json

UNKNOWN, IMPORTED, DAMAGED = "stopped", "imported", "damaged"


@dataclass(frozen=True)
class ProbeScore:
    """Headline score of one probe report.

    Attributes:
        name: Name of its folder in RUN/probes.
        task: Name of the task.
        metric: First metric on the first test set.
        value: The score.
        low: Lower bound of its 95 % interval.
        high: Upper bound of its 95 % interval.
        step: Training steps of the probed encoder.
    """

    name: str
    task: str
    metric: str
    value: float
    low: float
    high: float
    step: int


@dataclass(frozen=True)
class RunRecord:
    """Contents of a run folder.

    Attributes:
        folder: The run folder.
        info: Content of run.json; empty if it cannot be read.
        lines: Lines of metrics.jsonl, in order.
        state: Whether the run is running, or how it ended.
        checkpoints: Steps of the existing checkpoints.
        probes: Headline scores of its probe reports.
        age_s: Seconds since the last write.
        problems: Problems with the folder.
    """

    folder: Path
    info: Mapping[str, Any]
    lines: list[dict[str, float]]
    state: RunState
    checkpoints: list[int]
    probes: list[ProbeScore]
    age_s: float
    problems: list[str]

    @property
    def steps(self) -> int:
        """Total number of training steps; 0 if unknown."""
        return int(self.info.get("training", {}).get("steps", 0))

    @property
    def batch_size(self) -> int:
        """Pairs per training step; 0 if unknown."""
        return int(self.info.get("training", {}).get("batch_size", 0))

    @property
    def online_metric(self) -> str:
        """Metric of the online probe, in words."""
        probe = self.info.get("online_probe")
        metric = probe.get("metric", "score") if isinstance(probe, dict) else "score"
        return str(metric).replace("_", " ")

    @property
    def step(self) -> int:
        """Last logged or saved training step; of an imported model, the step it was made at."""
        logged = int(self.lines[-1]["step"]) if self.lines else 0
        return max([logged, *self.checkpoints, int(self.info.get("step", 0))])

    @property
    def saved_step(self) -> int | None:
        """Step of the newest checkpoint; None if there is none."""
        return self.checkpoints[-1] if self.checkpoints else None

    @property
    def store(self) -> Mapping[str, str] | None:
        """Path and hash of the training store; None for an imported model."""
        store: Mapping[str, str] | None = self.info.get("store")
        return store

    def last(self) -> dict[str, float]:
        """Last value of each metric, in the order of first occurrence."""
        values: dict[str, float] = {}
        for line in self.lines:
            values |= {name: value for name, value in line.items() if name != "step"}
        return values


def find_run_folder(name: str) -> Path:
    """Find a run by its path, or by its name under runs/.

    Raises:
        MissingDataError: The run does not exist.
    """
    if (folder := find_named(name)) is None:
        raise MissingDataError(f"{name} is not a run: name a run folder, or one under {RUNS}/.")
    return folder


def open_run(name: str) -> RunRecord:
    """Read a run with valid settings.

    Raises:
        MissingDataError: The run does not exist.
        UsageError: Its settings cannot be read.
    """
    return read_valid_run(find_run_folder(name))


def open_runs(names: Iterable[str]) -> list[RunRecord]:
    """Open several runs as `open_run` does, without duplicates."""
    folders = {find_run_folder(name).resolve(): name for name in reversed([*names])}
    return [open_run(name) for name in reversed(folders.values())]


def read_valid_run(folder: Path, probes: bool = True) -> RunRecord:
    """`read_run_folder`, but raises UsageError if the settings cannot be read."""
    run = read_run_folder(folder, probes)
    if not run.info:
        raise UsageError("; ".join(run.problems))
    return run


def read_run_folder(folder: Path, probes: bool = True) -> RunRecord:
    """Read a run folder as far as possible; the rest is reported in `problems`.

    Args:
        folder: The run folder.
        probes: Whether to read the headline scores of its probe reports.
    """
    problems: list[str] = []
    info = _info(folder, problems)
    steps = sorted(step_of(path) or 0 for path in checkpoint_folders(folder))
    return RunRecord(
        folder,
        info,
        _lines(folder, problems),
        _state(folder, info, steps, problems),
        steps,
        _probes(folder, problems) if probes else [],
        _age(folder),
        problems,
    )


def _info(folder: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return read_run(folder)
    except MscolError as error:
        problems.append(str(error))
        return {}


def _lines(folder: Path, problems: list[str]) -> list[dict[str, float]]:
    try:
        lines, damaged = split_damaged(folder)
    except OSError as error:
        problems.append(f"{folder / METRICS} cannot be read ({error}).")
        return []
    if damaged:
        problems.append(format_damage(folder, damaged))
    return lines


def _state(
    folder: Path, info: Mapping[str, Any], steps: Iterable[int], problems: list[str]
) -> RunState:
    try:
        if (state := read_state(folder)) is not None:
            return state
    except MscolError as error:
        problems.append(str(error))
    if not info:
        return RunState(DAMAGED)
    if "training" not in info:
        return RunState(IMPORTED)
    # Runs of earlier versions have no state.
    done = max(steps, default=0) >= info["training"]["steps"]
    return RunState(FINISHED if done else UNKNOWN)


def _probes(folder: Path, problems: list[str]) -> list[ProbeScore]:
    scores = []
    for path in sorted((folder / PROBES).glob(f"*/{PROBE_REPORT}")):
        try:
            content = read_json(path, "probe report")
            metric, score = next(iter(content["test_sets"][0]["metrics"].items()))
            value, low, high = (float(score[name]) for name in ("value", "low", "high"))
            step = int(content.get("model_step", 0))
            task = str(content.get("task", path.parent.name))
        except (MscolError, *INVALID, StopIteration):
            problems.append(f"{path} is not a readable probe report.")
            continue
        scores.append(ProbeScore(path.parent.name, task, metric, value, low, high, step))
    return scores


def _age(folder: Path) -> float:
    files = [folder / name for name in (RUN, METRICS, STATE)]
    times = [path.stat().st_mtime for path in (folder, *files) if path.exists()]
    return max(0.0, time.time() - max(times))
