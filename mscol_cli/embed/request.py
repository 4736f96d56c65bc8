"""Arguments of `mscol embed`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter
from mscol_cli.engine.references import DEFAULT_MODEL, REFERENCES
from mscol_cli.recipes.options import device_option, source_option, untrained_encoder


@dataclass(frozen=True)
class EmbedRequest:
    """Arguments of `mscol embed`."""

    inputs: tuple[Path, ...] = parameter(
        ...,
        "Audio files, folders searched recursively, or sealed stores.",
        "INPUT",
        positional=True,
    )
    model: str | None = parameter(
        None,
        f"{REFERENCES[0].upper()}{REFERENCES[1:]}. [default: {DEFAULT_MODEL}]",
        "MODEL",
    )
    encoder: str | None = untrained_encoder()
    output: Path = parameter(
        Path("embeddings.npz"),
        "Folder of vectors to make or update, or a file: .npz, .csv, .safetensors or .parquet.",
        "PATH",
        short="-o",
    )
    hop: float | None = parameter(
        None, "Seconds from one window to the next. [default: that of the encoder]", "SECONDS"
    )
    pool: str | None = parameter(
        None,
        "Vectors of a file: mean or max over its windows, or none for one vector per window."
        " [default: mean]",
        "mean|max|none",
    )
    windows: bool = parameter(False, "The same as --pool none.")
    precision: str = parameter("float32", "float32 or float16.", "NAME")
    source: str = source_option()
    jobs: int | None = parameter(None, "Embed in N processes on this machine.")
    gpus: int | None = parameter(None, "Embed in N processes, each with one GPU.")
    device: str = device_option()

    @property
    def pooling(self) -> str:
        """`mean` or `max` over the windows of a file, or `none`."""
        return "none" if self.windows else self.pool or "mean"
