"""A run as probes and reports need it: settings, metrics, and its newest checkpoint."""

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
    """A run.

    Attributes:
        label: What the report calls it; no two runs share it.
        folder: Where it is.
        info: Its run.json.
        metrics: Lines of its metrics.jsonl that can be read.
        step: Updates of its newest checkpoint; None while it has none.
        state: `finished`, `running`, or why it stopped; empty where nothing is known.
        problems: What of the folder cannot be read.
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
        """Its label, and what it learned from where that does not say so."""
        objective = str(self.info.get("objective", {}).get("name", ""))
        return self.label if objective in self.label else f"{self.label} ({objective})"

    @property
    def training(self) -> Mapping[str, Any]:
        """Its training settings; empty for an imported model."""
        training: Mapping[str, Any] = self.info.get("training", {})
        return training

    @property
    def online_metric(self) -> str:
        """What its online probe measures, in words."""
        return online_metric(self.info)

    @property
    def store(self) -> Mapping[str, str] | None:
        """Path and hash of the store it was trained on; None for an imported model."""
        store: Mapping[str, str] | None = self.info.get("store")
        return store


def read_run(label: str, folder: Path) -> FoundRun:
    """Read a run whose settings this mscol knows. Raises MscolError, KeyError, TypeError."""
    record = read_run_folder(folder, probes=False)
    if not record.info:
        raise UsageError("; ".join(record.problems))
    check_layout(folder, record.info)
    if not isinstance(record.info["encoder"]["name"], str):
        raise UsageError(f"{folder / RUN} names no encoder: restore it, or leave the run out.")
    step = record.checkpoints[-1] if record.checkpoints else None
    state = f"{record.state.state}: {record.state.reason}".removesuffix(": ")
    return FoundRun(label, folder, record.info, record.lines, step, state, record.problems)
