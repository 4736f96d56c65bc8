"""Arguments of `mscol export`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter
from mscol_cli.engine.references import DEFAULT_MODEL
from mscol_cli.recipes.options import untrained_encoder


@dataclass(frozen=True)
class ExportRequest:
    """Arguments of `mscol export`."""

    model: str | None = parameter(
        None,
        f"A model, as for --model of 'mscol embed'. [default: {DEFAULT_MODEL}]",
        "MODEL",
        positional=True,
    )
    encoder: str | None = untrained_encoder()
    output: Path | None = parameter(
        None,
        "Output file, .onnx or .pt2. [default: model.onnx or model.pt2]",
        "FILE",
        short="-o",
    )
    format: str | None = parameter(
        None,
        "onnx, or torch for torch.export. [default: that of the suffix of -o, else onnx]",
        "onnx|torch",
    )
    pool: str = parameter(
        "mean", "mean: one vector per clip. none: one vector per window.", "mean|none"
    )
