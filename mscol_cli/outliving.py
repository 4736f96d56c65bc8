"""No process outlives the one that started it for its own work."""

from __future__ import annotations

import os
import threading
import time

LAUNCHER = "MSCOL_LAUNCHER"
"""Names the process that starts others, in their environment."""
LOOK_S = 0.5


def end_with_launcher() -> None:
    """From now on, end this process at once where the one that launched it is gone.

    A launcher that is killed cannot tell: its processes would work on, unseen, beside those of the
    same command run again. What is half done is as after a kill: lost, and nothing else.
    """
    launcher = int(os.environ.get(LAUNCHER, os.getppid()))
    threading.Thread(target=_outlive_not, args=(launcher,), daemon=True).start()


def _outlive_not(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(LOOK_S)
    os._exit(1)
