"""Runs a command twice at once, with a clock that is set back, or on a small or read-only disk.

    LD_PRELOAD=faults.so python disturbed.py KIND FOLDER CASES VERIFY LAST TIMED ARGUMENT...

KIND is one of KINDS; the other arguments are those of `faulty.py`. Prints as JSON how many cases
were tried, which did not hold, and the messages. Only the administrator can mount a small disk.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mscol_cli.system.files import used_bytes
from tests.processes.faulty import FLOCK, NEVER, Trial, arm, bounded, last_line, problem, shim
from tests.processes.reruns import emptied, ended, prepare, start, wait_for_write

LIMIT_S = 240
DAYS_BACK = 3 * 86_400
WHOLE = 1 << 30
End = tuple[int | None, str]
"""Exit code, None if a process took too long, and what was printed."""


def together(trial: Trial, rng: random.Random, seconds: float) -> list[End]:
    """Two processes of one command, the second of which begins while the first is at work."""
    emptied(trial.folder)
    logs = [trial.log.with_name(f"log-{number}") for number in range(2)]
    children = [start(trial.arguments, logs[0])]
    time.sleep(rng.uniform(0, seconds))
    children.append(start(trial.arguments, logs[1]))
    codes, begun = dict[int, int](), time.monotonic()
    while len(codes) < 2:
        for child in [child for child in children if child not in codes]:
            if time.monotonic() - begun > LIMIT_S:
                os.kill(child, signal.SIGKILL)
            if (code := ended(child)) is not None:
                codes[child] = code
        time.sleep(0.002)
    return [(codes[child], log.read_text()) for child, log in zip(children, logs, strict=True)]


def without_locks(trial: Trial, rng: random.Random, seconds: float) -> list[End]:
    """As `together`, with locks that do not lock, as between hosts that do not share them."""
    arm(FLOCK, trial.folder, 0, 0, NEVER)
    ends = together(trial, rng, seconds)
    shim.fault_clear()
    return ends


def clock_back(trial: Trial, rng: random.Random, seconds: float) -> list[End]:
    """Killed, and run again after the clock was set back."""
    emptied(trial.folder)
    child = start(trial.arguments, trial.log)
    if wait_for_write(child, trial.folder) is None:
        time.sleep(rng.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    shim.fault_clock(-DAYS_BACK)
    code = bounded(trial.folder, trial.arguments, trial.log)
    shim.fault_clock(0)
    return [(code, trial.log.read_text())]


@contextmanager
def small_disk(folder: Path, size: int, options: str = "") -> Iterator[None]:
    """Context with a disk of this size, in bytes, at a folder; whole and writable at its end."""
    mount("-o", f"remount,size={size}{options}", str(folder))
    try:
        yield
    finally:
        mount("-o", f"remount,rw,size={WHOLE}", str(folder))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def full(trial: Trial, rng: random.Random, seconds: float) -> list[End]:
    """On a disk that is too small for the result."""
    used = used_bytes(trial.folder)
    emptied(trial.folder)
    with small_disk(trial.folder, round(used * rng.uniform(0.02, 0.9))):
        code = bounded(trial.folder, trial.arguments, trial.log)
    return [(code, trial.log.read_text())]


def read_only(trial: Trial, rng: random.Random, seconds: float) -> list[End]:
    """On a disk that is read-only, from the start or once a first run was killed."""
    emptied(trial.folder)
    if rng.random() < 0.5:
        child = start(trial.arguments, trial.log)
        if wait_for_write(child, trial.folder) is None:
            time.sleep(rng.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    with small_disk(trial.folder, WHOLE, ",ro"):
        code = bounded(trial.folder, trial.arguments, trial.log)
    return [(code, trial.log.read_text())]


KINDS: Mapping[str, Callable[[Trial, random.Random, float], list[End]]] = {
    kind.__name__: kind for kind in (together, without_locks, clock_back, full, read_only)
}
DISKS = ("full", "read_only")


def case(kind: str, trial: Trial, rng: random.Random, seconds: float) -> tuple[list[End], str]:
    """The ends of the processes of one case, and what is wrong; empty if it held."""
    ends = KINDS[kind](trial, rng, seconds)
    found = next(filter(None, (problem(code, printed) for code, printed in ends)), None)
    # Without locks two processes may both write a vector: more bytes, but each of them right.
    loose = kind == "without_locks" and bool(trial.verify)
    if found is None and all(code == 0 for code, _ in ends):
        found = trial.difference(loose)
    return ends, found or trial.again(loose) or ""


def main(kind: str, cases: int, trial: Trial) -> None:
    """Try the cases, and print what came of them."""
    prepare(trial.folder)
    emptied(trial.folder)
    if kind in DISKS:
        mount("-t", "tmpfs", "-o", f"size={WHOLE}", "none", str(trial.folder))
        os.chdir(trial.folder)
    rng, begun = random.Random(0), time.monotonic()
    if (code := bounded(trial.folder, trial.arguments, trial.log)) != 0:
        sys.exit(f"exit code {code}: {trial.log.read_text()}")
    seconds = time.monotonic() - begun
    trial.expected = trial.content()
    wrong, messages = dict[str, Any](), Counter[str]()
    for number in range(cases):
        ends, found = case(kind, trial, rng, seconds)
        messages.update(f"{code} {last_line(printed)}" for code, printed in ends if code)
        if found:
            wrong[str(number)] = [found, [(code, printed[-400:]) for code, printed in ends]]
    if kind in DISKS:
        os.chdir("/")
        subprocess.run(["umount", str(trial.folder)], check=True)
    sys.stdout.write(json.dumps({"tried": cases, "wrong": wrong, "messages": messages}))


if __name__ == "__main__":
    kind, folder, cases, verify, last, timed, *arguments = sys.argv[1:]
    log, check = Path(folder).with_name("log"), verify.split()
    trial = Trial(Path(folder), Path(folder), check, int(last), timed.split(), arguments, log)
    main(kind, int(cases), trial)
