"""`mini`: small networks of mscol's own, kept in this folder; CARD.md says what they are worth.

They work at the store's own rate, so that nothing is computed that a store would not keep.
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
MAX_BIN = 896  # of 1025: what lies above 7 kHz is filtered, but not listened to
HIDDEN_SIZE = 112


def weight_files(targets: tuple[str, ...]) -> dict[str, Path]:
    """The file of each target.

    Raises:
        UsageError: A target that the model does not have.
        MissingDataError: A file is not where it was installed.
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
    """Weights of one network by name, float32; matrices are stored as float16.

    Raises:
        MissingDataError: The file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise MissingDataError(f"{path} is damaged ({error}): install mscol again") from None
