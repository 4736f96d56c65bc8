"""Arguments of `mscol report`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter
from mscol_cli.recipes.options import device_option


@dataclass(frozen=True)
class ReportRequest:
    """Arguments of `mscol report`."""

    runs: tuple[Path, ...] = parameter(
        ...,
        "Run folders or names of runs in runs/, or folders of runs.",
        "RUN|DIR...",
        positional=True,
    )
    output: Path = parameter(Path("report"), "Folder of the report.", "DIR", short="-o")
    probes: tuple[Path, ...] = parameter(
        (),
        "Folder with more probe results, such as those of an untrained encoder; repeat for more.",
        "DIR",
    )
    title: str | None = parameter(None, "Heading of the page. [default: the runs]", "TEXT")
    neighbours: int = parameter(3, "Number of segments per run with nearest neighbours.", "N")
    no_audio: bool = parameter(False, "Omit the audio of these neighbours.")
    device: str = device_option()
