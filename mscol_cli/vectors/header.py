"""What all vectors of a folder have in common."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.system.files import read_json, write_json

HEADER = "vectors.json"
LAYOUT = "mscol-vectors 1"


@dataclass(frozen=True)
class VectorHeader:
    """Which model made the vectors, and of what windows.

    Attributes:
        model_hash: SHA-256 of the encoder's weights.
        sample_rate: Hz.
        window: Samples of a window.
        hop: Samples from the start of one window to that of the next.
        level: The level to which a clip is brought.
        dim: Size of a vector.
        corruption: Name of what clips are damaged by first; None for clips as they are.
    """

    model_hash: str
    sample_rate: int
    window: int
    hop: int
    level: str
    dim: int
    corruption: str | None = None

    @property
    def key(self) -> str:
        """A name that differs where the vectors do: 64 hexadecimal digits."""
        text = json.dumps([LAYOUT, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def write_or_check(self, folder: Path) -> None:
        """Begin a folder, or check that the folder holds such vectors.

        Raises:
            MscolError: It holds others.
            OSError: It cannot be written.
        """
        content = {"layout": LAYOUT, **asdict(self)}
        try:
            found = read_json(folder / HEADER, "folder of vectors")
        except MissingDataError:
            write_json(folder / HEADER, content)
            return
        if found != content:
            raise MscolError(f"{folder}: holds vectors of another model; choose another folder")
