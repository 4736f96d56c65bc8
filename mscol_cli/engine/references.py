"""Model references, which `--model` accepts, and the bundled model. Does not import torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mscol_cli.contracts.cards import MODELS
from mscol_cli.runs.layout import ENCODER, RUN, RUNS
from mscol_cli.system.json_files import read_json

MINI, UNTRAINED = MODELS
"""References of the bundled model, which is also its name, and of an encoder without training."""
BUNDLED = Path(__file__).parent / MINI
"""Its checkpoint folder: `run.json`, `encoder.safetensors` and `CARD.md`."""
LOGMEL = "logmel"
"""Reference and name of the baseline: log-mel statistics, an encoder without weights."""
FOLDERS = f"a run folder, the name of a run in {RUNS}/, a checkpoint folder"
REFERENCES = (
    f"{FOLDERS}, hf:ORG/NAME[@REVISION], '{MINI}' (bundled), '{UNTRAINED}' or '{LOGMEL}' (a"
    " baseline)"
)
"""All references, and those to folders, for help texts and messages."""
DEFAULT_MODEL = f"{RUNS}/latest; without a run, {MINI}"


def has_bundled() -> bool:
    """Whether this installation has the bundled model."""
    return (BUNDLED / f"{ENCODER}.safetensors").is_file()


def bundled_info() -> dict[str, Any] | None:
    """Content of run.json of the bundled model; None if this installation has none.

    Raises:
        MissingDataError, UsageError: The file is missing or damaged.
    """
    return read_json(BUNDLED / RUN, "checkpoint") if has_bundled() else None
