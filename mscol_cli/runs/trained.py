"""Runs as reports read them: with a label and valid settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.errors import UsageError
from mscol_cli.runs.record import RunRecord, read_run_folder


@dataclass(frozen=True)
class FoundRun(RunRecord):
    """A run in a report.

    Attributes:
        label: Unique label in the report.
    """

    label: str

    @property
    def title(self) -> str:
        """The label, with the objective if the label does not contain it."""
        objective = str(self.info.get("objective", {}).get("name", ""))
        return self.label if objective in self.label else f"{self.label} ({objective})"

    @property
    def saved_step(self) -> int | None:
        """Step of the newest checkpoint; None if there is none."""
        return self.checkpoints[-1] if self.checkpoints else None

    @property
    def store(self) -> Mapping[str, str] | None:
        """Path and hash of the training store; None for an imported model."""
        store: Mapping[str, str] | None = self.info.get("store")
        return store


def read_run(label: str, folder: Path) -> FoundRun:
    """Read a run with valid settings. Raises MscolError."""
    record = read_run_folder(folder, probes=False)
    if not record.info:
        raise UsageError("; ".join(record.problems))
    return FoundRun(**vars(record), label=label)
