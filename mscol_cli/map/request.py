"""Arguments of `mscol map`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter


@dataclass(frozen=True)
class MapRequest:
    """Arguments of `mscol map`."""

    folder: Path = parameter(
        ..., "Folder of vectors, made by 'mscol embed'.", "DIR", positional=True
    )
    output: Path = parameter(Path("map.html"), "The page.", "FILE", short="-o")
    colours: tuple[str, ...] = parameter(
        (),
        "Colour by folder, by cluster, or by a column of a CSV file with a column 'id', such as one"
        " by 'mscol tag'; repeat for more, the first is shown. [default: folder]",
        "folder|cluster|FILE[:COLUMN]",
        key="color",
    )
    clusters: int = parameter(
        7,
        "Number of clusters (k-means). From the eighth on, colours repeat with other shapes.",
        "N",
    )
    title: str | None = parameter(
        None, "Heading of the page. [default: name of the folder]", "TEXT"
    )
    no_audio: bool = parameter(False, "Omit the links to audio files.")
