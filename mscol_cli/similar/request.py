"""Arguments of `mscol similar`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter
from mscol_cli.recipes.options import device_option


@dataclass(frozen=True)
class SimilarRequest:
    """Arguments of `mscol similar`."""

    queries: tuple[str, ...] = parameter(
        ...,
        "Audio files, or ids of clips in the folder; NAME@1:23 is a moment in one.",
        "QUERY",
        positional=True,
    )
    folder: Path = parameter(..., "Folder of vectors, made by 'mscol embed'.", "DIR", key="in")
    count: int = parameter(10, "Number of neighbours of each query.", "N", key="-k")
    model: str | None = parameter(
        None,
        "Model that made the vectors, needed for queries that are not in the folder. [default: the"
        " model that the folder names]",
        "RUN",
    )
    device: str = device_option()
