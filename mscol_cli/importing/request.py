"""Arguments of `mscol import`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter
from mscol_cli.recipes.options import plugin_options


@dataclass(frozen=True)
class ImportRequest:
    """Arguments of `mscol import`."""

    checkpoint: Path = parameter(
        ...,
        "TensorFlow: the .index file, a .data file, their common prefix, or their folder.",
        "CHECKPOINT",
        positional=True,
    )
    output: Path = parameter(..., "The model folder, new or empty.", "MODEL", short="-o")
    format: str | None = parameter(
        None, "Importer: tensorflow or one of a plugin. [default: detected]", "NAME"
    )
    options: tuple[str, ...] = plugin_options()
