"""Trains in processes that kill or stop themselves at random moments, until it is done.

    python stopped_training.py ARGUMENT...

ARGUMENT... is a `mscol pretrain` command line with --resume, which begins the run or goes on with
it. Says how many processes ended with which exit code. They are forked from this one, which has
loaded everything and computed nothing: one with threads at work must not be forked.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

import torchaudio

import mscol_cli.workflows.pretrain
from mscol_cli.__main__ import main
from mscol_cli.engine import training

STOPS = 16
LOADED = (torchaudio, mscol_cli.workflows.pretrain)


def arm(moments: int, number: signal.Signals) -> None:
    """Have this process signal itself at so many updates and changes to the disk."""
    left = moments

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)
            return call(*arguments, **options)

        return counting

    for name in ("fsync", "replace", "rename", "unlink", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))
    vars(training)["learning_rate"] = counted(training.learning_rate)  # at the start of an update


def run(moments: int, number: signal.Signals, arguments: list[str]) -> int:
    """Exit code of a process that signals itself."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            sys.argv = ["mscol", *arguments]
            arm(moments, number)
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stop_until_done(arguments: list[str]) -> dict[str, int]:
    """How often it took what signal, by exit code, until a process came to the end."""
    rng, codes = random.Random(0), dict[str, int]()
    while codes.get("0", 0) == 0:
        stops = sum(codes.values())
        number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGUSR1, signal.SIGTERM])
        moments = rng.randrange(2, 24) if stops < STOPS else 100_000
        code = run(moments, number, arguments)
        codes[str(code)] = codes.get(str(code), 0) + 1
        if code not in (0, 130, -signal.SIGKILL):
            break
    return codes


if __name__ == "__main__":
    sys.stdout.write(json.dumps(stop_until_done(sys.argv[1:])))
