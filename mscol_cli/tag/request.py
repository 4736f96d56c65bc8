"""Arguments of `mscol tag`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter
from mscol_cli.recipes.options import device_option, source_option


@dataclass(frozen=True)
class TagRequest:
    """Arguments of `mscol tag`."""

    inputs: tuple[Path, ...] = parameter(
        ...,
        "Audio files, folders searched recursively, sealed stores, or folders of vectors.",
        "INPUT",
        positional=True,
    )
    head: Path = parameter(..., "Folder of a result of 'mscol probe --save'.", "PROBE")
    model: str | None = parameter(
        None,
        "The model that the head was trained on, if it has been moved. [default: the recorded one]",
        "RUN",
    )
    top: int = parameter(5, "Number of classes per file, the most probable.", short="-k")
    windows: bool = parameter(False, "Tag each window, with its start in seconds.")
    output: Path | None = parameter(
        None, "Output file: .csv or .json. [default: the tags are printed]", "FILE", short="-o"
    )
    source: str = source_option()
    device: str = device_option()
