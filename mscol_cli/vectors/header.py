"""Header of a folder of vectors: model and windows."""

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
    """Model and windows of the vectors in a folder.

    Attributes:
        model_hash: SHA-256 of the encoder weights.
        sample_rate: Sample rate in Hz.
        window: Window length in samples.
        hop: Samples from the start of one window to the next.
        level: Level that clips are scaled to.
        dim: Dimension of a vector.
        corruption: Name of the corruption applied to clips; None without.
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
        """SHA-256 of the header, hex."""
        text = json.dumps([LAYOUT, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def write_or_check(self, folder: Path) -> None:
        """Write the header of a new folder, or check that of an existing folder.

        Raises:
            MscolError: The folder has another header.
            OSError: The folder cannot be written.
        """
        content = {"layout": LAYOUT, **asdict(self)}
        try:
            existing = read_json(folder / HEADER, "folder of vectors")
        except MissingDataError:
            write_json(folder / HEADER, content)
            return
        if existing != content:
            raise MscolError(f"{folder}: contains vectors of another model; choose another folder")
