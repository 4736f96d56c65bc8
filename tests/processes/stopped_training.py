"""Trains in processes that kill or stop themselves at random moments, until it is done.

    python stopped_training.py ARGUMENT...

ARGUMENT... is a `mscol pretrain` command line with --resume, which begins the run or goes on with
it. Says how many processes ended with which exit code.
"""

from __future__ import annotations

import json
import random
import signal
import sys

import torchaudio

import mscol_cli.pretrain.workflow
from mscol_cli.pretrain import training
from tests.processes.signalled import CHANGES, run

STOPS = 10
LOADED = (torchaudio, mscol_cli.pretrain.workflow)
MOMENTS = [*CHANGES, (training, "learning_rate")]  # which every update begins with


def stop_until_done(arguments: list[str]) -> dict[str, int]:
    """How often it took what signal, by exit code, until a process came to the end."""
    rng, codes = random.Random(0), dict[str, int]()
    while codes.get("0", 0) == 0:
        stops = sum(codes.values())
        number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGUSR1, signal.SIGTERM])
        moments = rng.randrange(2, 24) if stops < STOPS else 100_000
        code = run(moments, number, arguments, MOMENTS)
        codes[str(code)] = codes.get(str(code), 0) + 1
        if code not in (0, 130, -signal.SIGKILL):
            break
    return codes


if __name__ == "__main__":
    sys.stdout.write(json.dumps(stop_until_done(sys.argv[1:])))
