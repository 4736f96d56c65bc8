"""Arguments of `mscol download`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter


@dataclass(frozen=True)
class DownloadRequest:
    """Arguments of `mscol download`."""

    name: str | None = parameter(
        None, "mtat, nsynth, fma, umxl, umxhq or umxse.", "NAME", positional=True
    )
    output: Path | None = parameter(
        None,
        "Output folder. [default: data/NAME; for weights torch.hub's folder]",
        "DIR",
        short="-o",
    )
    keep_archives: bool = parameter(False, "Keep archives after unpacking.")
    dry_run: bool = parameter(False, "Print what would be downloaded, and stop.")
