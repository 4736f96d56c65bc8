"""Arguments of `mscol push`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter


@dataclass(frozen=True)
class PushRequest:
    """Arguments of `mscol push`; with an output, nothing is uploaded."""

    model: Path = parameter(
        ..., "Run folder, name of a run in runs/, or checkpoint folder.", "RUN", positional=True
    )
    repository: str = parameter(
        ..., "Model repository on the Hugging Face Hub.", "hf:ORG/NAME", positional=True
    )
    licence: str | None = parameter(
        None,
        "Licence of the weights, as the Hub spells it: mit, cc-by-4.0, other, ... [default: asked"
        " for on a terminal]",
        "NAME",
        key="license",
    )
    private: bool = parameter(False, "Create a private repository.")
    output: Path | None = parameter(
        None, "Folder of --dry-run, new or empty.", "FOLDER", short="-o"
    )
