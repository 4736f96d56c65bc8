"""Runs `mscol separate` in processes that kill themselves at random moments, until 20 were killed.

    python killed.py WHOLE STORE ARGUMENT...

WHOLE is the store that an uninterrupted run has made, ARGUMENT... the command that makes STORE.
Ends with 1 if a run that came to its end has made other bytes. With MSCOL_ALL_EDITS, 50 are killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from pathlib import Path

import soundfile
import torchaudio

import mscol_cli.separate.workflow
from tests.processes.signalled import run

KILLS = 50 if os.environ.get("MSCOL_ALL_EDITS") else 20
LAST = KILLS - 5
LOADED = (soundfile, torchaudio, mscol_cli.separate.workflow)


def content(store: Path) -> dict[str, bytes]:
    """Every file of a store, by its path."""
    files = (path for path in sorted(store.rglob("*")) if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def proven(whole: Path, store: Path, arguments: list[str]) -> bool:
    """Whether all runs that came to their end made the same bytes."""
    rng, killed, expected = random.Random(0), 0, content(whole)
    while killed < KILLS:
        if run(rng.randrange(1, 30), signal.SIGKILL, arguments) == -signal.SIGKILL:
            killed += 1
        elif content(store) != expected:
            return False
        elif killed < LAST:
            shutil.rmtree(store)
    run(1 << 40, signal.SIGKILL, arguments)
    return content(store) == expected


if __name__ == "__main__":
    sys.exit(not proven(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
