"""Arguments of `mscol runs plot`; this module does not import NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter


@dataclass(frozen=True)
class PlotRequest:
    """Arguments of `mscol runs plot`."""

    runs: tuple[str, ...] = parameter(
        ..., "Run folders, or their names in runs/.", "RUN...", positional=True
    )
    output: Path = parameter(..., "Output file: .png, .pdf or .svg.", "FILE", short="-o")
    x: str = parameter("steps", "Quantity of the x axis.", "steps|hours|pairs")
    metrics: tuple[str, ...] = parameter(
        (),
        "Metric of metrics.jsonl to plot; repeat for more. [default: the usual ones]",
        "NAME",
        key="metric",
    )
