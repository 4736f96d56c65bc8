"""A run folder as it is on disk, even a damaged one; read without torch, which is slow to load."""

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
    step_of,
)
from mscol_cli.runs.metrics import METRICS, damage, split_damaged
from mscol_cli.runs.state import FINISHED, STATE, RunState, read_state
from mscol_cli.system.files import read_json

UNKNOWN, IMPORTED, DAMAGED = "stopped", "imported", "damaged"


@dataclass(frozen=True)
class ProbeScore:
    """The headline of one probe report.

    Attributes:
        name: Its folder in RUN/probes.
        task: What was probed.
        metric: What was measured, on the first test set.
        value: The score.
        low: Lower bound of its 95 % interval.
        high: Upper bound.
        step: Updates that the probed encoder had.
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
    """What a run folder holds.

    Attributes:
        folder: Where it is.
        info: Its run.json; empty for one that cannot be read.
        lines: Of its metrics.jsonl, in order.
        state: Whether it is running or how it ended.
        checkpoints: Updates of each checkpoint that is kept.
        probes: Headlines of its probe reports.
        age_s: Seconds since something was written.
        problems: What is wrong with the folder.
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
        """Updates in all; 0 where nobody knows."""
        return int(self.info.get("training", {}).get("steps", 0))

    @property
    def batch_size(self) -> int:
        """Pairs per update."""
        return int(self.info.get("training", {}).get("batch_size", 0))

    @property
    def online_metric(self) -> str:
        """What its online probe measures, in words."""
        return online_metric(self.info)

    @property
    def step(self) -> int:
        """Updates made, as far as was logged or saved."""
        logged = int(self.lines[-1]["step"]) if self.lines else 0
        return max([logged, *self.checkpoints])

    def last(self) -> dict[str, float]:
        """The last value of each metric, in the order in which metrics first came."""
        found: dict[str, float] = {}
        for line in self.lines:
            found |= {name: value for name, value in line.items() if name != "step"}
        return found


def online_metric(info: Mapping[str, Any]) -> str:
    """What a run's online probe measures, in words, by its run.json."""
    probe = info.get("online_probe")
    metric = probe.get("metric", "score") if isinstance(probe, dict) else "score"
    return str(metric).replace("_", " ")


def find_run_folder(name: str) -> Path:
    """The folder of a run that is named by its path, or by its name under runs/.

    Raises:
        MissingDataError: There is none.
    """
    folder = find_named(name)
    if folder is not None:
        return folder
    raise MissingDataError(f"{name} is no run: name a run folder, or one under {RUNS}/.")


def open_run(name: str) -> RunRecord:
    """A run whose settings can be read.

    Raises:
        MissingDataError: There is none.
        UsageError: They cannot.
    """
    found = read_run_folder(find_run_folder(name))
    if not found.info:
        raise UsageError("; ".join(found.problems))
    return found


def open_runs(names: Iterable[str]) -> list[RunRecord]:
    """Runs as `open_run` opens them, each once however often it is named."""
    folders = {find_run_folder(name).resolve(): name for name in reversed([*names])}
    return [open_run(name) for name in reversed(folders.values())]


def read_run_folder(folder: Path, probes: bool = True) -> RunRecord:
    """Whatever can be read of a run folder; the rest is named among its problems.

    Args:
        folder: The run folder.
        probes: Whether to read the headlines of its probe reports, too.
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
        info = read_json(folder / RUN, "run folder")
    except MscolError as error:
        problems.append(str(error))
        return {}
    training = info.get("training", {"steps": 0, "batch_size": 0})
    parts = (info.get("objective"), info.get("encoder"), training)
    if not all(isinstance(part, dict) for part in parts) or not all(
        isinstance(training.get(name), int) for name in ("steps", "batch_size")
    ):
        problems.append(f"{folder / RUN} holds no settings of a run.")
        return {}
    return info


def _lines(folder: Path, problems: list[str]) -> list[dict[str, float]]:
    try:
        found, damaged = split_damaged(folder)
    except OSError as error:
        problems.append(f"{folder / METRICS} cannot be read ({error}).")
        return []
    if damaged:
        problems.append(damage(folder, damaged))
    return found


def _state(
    folder: Path, info: Mapping[str, Any], steps: Iterable[int], problems: list[str]
) -> RunState:
    try:
        found = read_state(folder)
    except (MscolError, TypeError) as error:
        problems.append(str(error))
        found = None
    if found is not None:
        return found
    if not info:
        return RunState(DAMAGED)
    if "training" not in info:
        return RunState(IMPORTED)
    # Runs of before there was a state.
    done = max(steps, default=0) >= info["training"]["steps"]
    return RunState(FINISHED if done else UNKNOWN)


def _probes(folder: Path, problems: list[str]) -> list[ProbeScore]:
    found = []
    for path in sorted((folder / PROBES).glob(f"*/{PROBE_REPORT}")):
        try:
            content = read_json(path, "probe report")
            metric, score = next(iter(content["test_sets"][0]["metrics"].items()))
            value, low, high = (float(score[name]) for name in ("value", "low", "high"))
            step = int(content.get("model_step", 0))
            task = str(content.get("task", path.parent.name))
        except (MscolError, LookupError, TypeError, ValueError, AttributeError, StopIteration):
            problems.append(f"{path} is no probe report that can be read.")
            continue
        found.append(ProbeScore(path.parent.name, task, metric, value, low, high, step))
    return found


def _age(folder: Path) -> float:
    files = [folder / name for name in (RUN, METRICS, STATE)]
    times = [path.stat().st_mtime for path in (folder, *files) if path.exists()]
    return max(0.0, time.time() - max(times))
