"""Runs `mscol separate` in processes that kill themselves at random moments, until 50 were killed.

    python killed.py WHOLE STORE ARGUMENT...

WHOLE is the store that an uninterrupted run has made, ARGUMENT... the command that makes STORE.
Ends with 1 if a run that came to its end has made other bytes. Processes are forked from this one,
which has loaded everything and computed nothing: one with threads at work must not be forked.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import soundfile
import torchaudio

import mscol_cli.workflows.separate
from mscol_cli.__main__ import main

KILLS, LAST = 50, 45
LOADED = (soundfile, torchaudio, mscol_cli.workflows.separate)


def content(store: Path) -> dict[str, bytes]:
    """Every file of a store, by its path."""
    files = (path for path in sorted(store.rglob("*")) if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def arm(operations: int) -> None:
    """Have this process kill itself at so many of its changes to the disk."""
    left = operations

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counting

    for name in ("fsync", "replace", "unlink", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))


def run(operations: int, arguments: list[str]) -> int:
    """Exit code of a process that kills itself at so many changes to the disk."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            sys.argv = ["mscol", *arguments]
            arm(operations)
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def proven(whole: Path, store: Path, arguments: list[str]) -> bool:
    """Whether all runs that came to their end made the same bytes."""
    rng, killed, expected = random.Random(0), 0, content(whole)
    while killed < KILLS:
        if run(rng.randrange(1, 30), arguments) == -signal.SIGKILL:
            killed += 1
        elif content(store) != expected:
            return False
        elif killed < LAST:
            shutil.rmtree(store)
    run(1 << 40, arguments)
    return content(store) == expected


if __name__ == "__main__":
    sys.exit(not proven(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
