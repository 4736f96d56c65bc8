"""Options of the bundled importers; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from mscol_cli.api import option


@dataclass(frozen=True)
class TensorFlowOptions:
    """Options of `tensorflow`."""

    stems: tuple[str, ...] = option(
        (),
        "sources the model was trained on, a,b,c, to be recorded: a checkpoint does not name them",
    )
