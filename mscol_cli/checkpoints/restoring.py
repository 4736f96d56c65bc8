"""The newest checkpoint that can be read: damage to one costs the updates since the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mscol_cli.checkpoints.folder import (
    ENCODER,
    OBJECTIVE,
    OPTIMIZER,
    Checkpoint,
    read_checkpoint,
    read_weights,
)
from mscol_cli.checkpoints.layout import checkpoint_folders
from mscol_cli.errors import MscolError


@dataclass(frozen=True)
class Restorable:
    """A checkpoint in memory.

    Attributes:
        checkpoint: Where it is, and its run.json.
        tensors: By file stem (`encoder`, `objective`, `optimizer`), tensors by name, on the CPU.
        damaged: Newer checkpoints, and why they cannot be read.
    """

    checkpoint: Checkpoint
    tensors: Mapping[str, dict[str, Tensor]]
    damaged: Mapping[Path, str]


def restorable(run: Path) -> Restorable | None:
    """The newest checkpoint of a run that can be read; None when it has none yet.

    Raises:
        UsageError, MissingDataError: There are checkpoints, and none can be read.
    """
    damaged: dict[Path, str] = {}
    newest: MscolError | None = None
    for folder in reversed(checkpoint_folders(run)):
        try:
            stems = (ENCODER, OBJECTIVE, OPTIMIZER)
            tensors = {stem: read_weights(folder, stem) for stem in stems}
            return Restorable(read_checkpoint(folder), tensors, damaged)
        except MscolError as error:
            damaged[folder] = str(error)
            newest = newest or error
    if newest is not None:
        raise newest
    return None


def set_aside(folder: Path) -> None:
    """Rename a damaged checkpoint, so that it counts as none and can be looked at."""
    number = 1
    while (place := folder.with_name(f"damaged-{number}-{folder.name}")).exists():
        number += 1
    folder.rename(place)
