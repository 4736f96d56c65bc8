"""Runs as reports read them: settings, metrics and newest checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mscol_cli.errors import UsageError
from mscol_cli.runs.layout import RUN, check_layout
from mscol_cli.runs.record import online_metric, read_run_folder


@dataclass(frozen=True)
class FoundRun:
    """A run in a report.

    Attributes:
        label: Unique label in the report.
        folder: The run folder.
        info: Content of run.json.
        metrics: Readable lines of metrics.jsonl.
        step: Step of the newest checkpoint; None if there is none.
        state: `finished`, `running`, or why it stopped; empty if unknown.
        problems: Unreadable parts of the folder.
    """

    label: str
    folder: Path
    info: Mapping[str, Any]
    metrics: Sequence[Mapping[str, float]]
    step: int | None
    state: str = ""
    problems: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The label, with the objective if the label does not contain it."""
        objective = str(self.info.get("objective", {}).get("name", ""))
        return self.label if objective in self.label else f"{self.label} ({objective})"

    @property
    def training(self) -> Mapping[str, Any]:
        """Training settings; empty for an imported model."""
        training: Mapping[str, Any] = self.info.get("training", {})
        return training

    @property
    def online_metric(self) -> str:
        """Metric of the online probe, in words."""
        return online_metric(self.info)

    @property
    def store(self) -> Mapping[str, str] | None:
        """Path and hash of the training store; None for an imported model."""
        store: Mapping[str, str] | None = self.info.get("store")
        return store


def read_run(label: str, folder: Path) -> FoundRun:
    """Read a run with valid settings. Raises MscolError, KeyError, TypeError."""
    record = read_run_folder(folder, probes=False)
    if not record.info:
        raise UsageError("; ".join(record.problems))
    check_layout(folder, record.info)
    if not isinstance(record.info["encoder"]["name"], str):
        raise UsageError(f"{folder / RUN} names no encoder: restore it, or leave the run out.")
    step = record.checkpoints[-1] if record.checkpoints else None
    state = f"{record.state.state}: {record.state.reason}".removesuffix(": ")
    return FoundRun(label, folder, record.info, record.lines, step, state, record.problems)
