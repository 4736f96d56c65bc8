"""Kills a command at random moments, and runs it again: the end is that of an undisturbed run.

    python killed_at_random.py FOLDER KILLS ARGUMENT...

ARGUMENT... is a command line that runs in FOLDER, with the cache in it, too. FOLDER is emptied
before each kill, and filled from FOLDER.inputs if that exists. The moments are spread over the time
from the first write to the end. Prints as JSON how many kills were tried, which led to another
result or exit code, and which finished files were written a second time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.processes.reruns import (
    content,
    emptied,
    prepare,
    stamps,
    start,
    undisturbed,
    wait_for_write,
)

MISSES = 5
"""How often a process may end before it is killed, for each kill."""


def killed(folder: Path, arguments: Sequence[str], delay: float, log: Path) -> bool:
    """Run the command and kill it so many seconds after its first write. False if it had ended."""
    emptied(folder)
    child = start(arguments, log)
    if wait_for_write(child, folder) is not None:
        return False
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def main(folder: Path, kills: int, arguments: Sequence[str]) -> None:
    prepare(folder)
    log, rng = folder.with_name("log"), random.Random(0)
    emptied(folder)
    code, seconds = undisturbed(folder, arguments, log)
    if code != 0:
        sys.exit(f"exit code {code}: {log.read_text()}")
    expected = content(folder)
    tried, misses = 0, 0
    different, again = dict[str, Any](), dict[str, Any]()
    while tried < kills and misses < MISSES * kills:
        delay = rng.uniform(0, seconds)
        if not killed(folder, arguments, delay, log):
            misses += 1
            continue
        tried += 1
        before = stamps(folder, expected)
        second, _ = undisturbed(folder, arguments, log)
        moment = f"{tried}: {delay:.3f} of {seconds:.3f} s"
        if (found := content(folder)) != expected or second != 0:
            names = sorted({*found.items()} ^ {*expected.items()})
            different[moment] = [second, names, log.read_text()[-300:]]
        after = stamps(folder, expected)
        rewritten = [name for name, at in before.items() if after.get(name) != at]
        if rewritten:
            again[moment] = rewritten
    result = {"tried": tried, "different": different, "again": again}
    sys.stdout.write(json.dumps({**result, "files": [*expected], "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
