"""Structure of run.json, which everything that reads a run or a checkpoint relies on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mscol_cli.recipes.options import TrainingSettings


@dataclass(frozen=True)
class RecordedPart:
    """An encoder, or a part of an objective."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    version: str | None = None


@dataclass(frozen=True)
class RecordedObjective:
    """An objective: its name, such as `msa+mws`, and its parts."""

    name: str = ""
    parts: Sequence[RecordedPart] = ()


@dataclass(frozen=True)
class RecordedStore:
    """The store that a run trains on."""

    path: str
    hash: str


@dataclass(frozen=True)
class RecordedInit:
    """The model that a run starts from."""

    reference: str
    hash: str | None


@dataclass(frozen=True)
class RecordedRun:
    """Fields of a run.json that are read; an imported model has no `training` and no `store`."""

    encoder: RecordedPart
    objective: RecordedObjective = RecordedObjective()
    training: TrainingSettings | None = None
    store: RecordedStore | None = None
    init: RecordedInit | None = None
    online_probe: Mapping[str, Any] | None = None
    train_split: str | None = None
    step: int = 0
    loss: float | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    meter: Mapping[str, Any] | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
