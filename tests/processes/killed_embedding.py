"""Runs `mscol embed` in processes that kill themselves at random moments, until 12 were killed.

    python killed_embedding.py WHOLE VECTORS ARGUMENT...

WHOLE is the folder that an uninterrupted run has made, ARGUMENT... the command that makes VECTORS.
Ends with 1 if a run that came to its end has made other vectors.
"""

from __future__ import annotations

import random
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import soundfile
import torchaudio

import mscol_cli.embed.workflow
from mscol_cli.vectors import VectorFolder
from tests.processes.signalled import run

KILLS, LAST = 12, 8
LOADED = (soundfile, torchaudio, mscol_cli.embed.workflow)


def content(path: Path) -> dict[str, tuple[str | None, list[list[float]]]]:
    """Reason and vectors of each file."""
    folder = VectorFolder.open(path)
    return {entry.id: (entry.failure, folder.read(entry).tolist()) for entry in folder.entries}


def is_kept(whole: Path, vectors: Path, arguments: Sequence[str]) -> bool:
    """Whether all runs that came to their end made the same vectors."""
    rng, killed, expected = random.Random(0), 0, content(whole)
    while killed < KILLS:
        if run(rng.randrange(1, 14), signal.SIGKILL, arguments) == -signal.SIGKILL:
            killed += 1
        elif content(vectors) != expected:
            return False
        elif killed < LAST:
            shutil.rmtree(vectors)
    run(1 << 40, signal.SIGKILL, arguments)
    return content(vectors) == expected and not list(vectors.glob("*.lock"))


if __name__ == "__main__":
    sys.exit(not is_kept(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
