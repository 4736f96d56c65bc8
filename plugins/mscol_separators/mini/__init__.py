"""`mini`: the bundled small networks; CARD.md documents their quality.

They work at 16 kHz, the sample rate of stores.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mscol_cli.api import MissingDataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

NAME = "mini"
LICENCE = "MIT"
TARGETS = ("vocals", "drums", "bass", "other")
FOLDER = Path(__file__).parent
SUFFIX = ".safetensors"
SAMPLE_RATE = 16_000  # Hz
N_FFT, N_HOP = 2048, 512  # samples
MAX_BIN = 896  # of 1025: frequencies above 7 kHz are filtered, but not part of the network's input
HIDDEN_SIZE = 112


def weight_files(targets: tuple[str, ...]) -> dict[str, Path]:
    """Paths of weights by target.

    Raises:
        UsageError: The model does not have a target.
        MissingDataError: An installed file is missing.
    """
    for target in targets:
        if target not in TARGETS:
            known = ", ".join(TARGETS)
            raise UsageError(f"model {NAME} has no target '{target}': it has {known}.")
    files = {target: FOLDER / f"{target}{SUFFIX}" for target in targets}
    for path in files.values():
        if not path.is_file():
            raise MissingDataError(f"{path} is missing: install mscol again")
    return files


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the weights of one network by name, as float32; matrices are stored as float16.

    Raises:
        MissingDataError: The file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise MissingDataError(f"{path} is damaged ({error}): install mscol again") from None
