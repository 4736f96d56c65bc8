"""Runs a command on a disk that fails, and again on a sound one: the end is an undisturbed run's.

    LD_PRELOAD=faults.so python faulty.py FOLDER INPUTS CASES VERIFY LAST TIMED ARGUMENT...

ARGUMENT... is a command line that runs in FOLDER, as in `killed_at_random.py`, INPUTS a folder
that it reads, VERIFY a command line that checks the result, or empty, LAST the exit code of a
command whose result exists, and TIMED patterns of files that hold times. CASES calls of each kind
fail, one alone or all from it. Prints as JSON how many cases were tried, which did not hold, and
the messages.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mscol_cli.errors import EXIT_CODES
from tests.helpers.counts import UNEXPECTED
from tests.processes.reruns import CACHE, content, emptied, ended, prepare, start

READ, WRITE, FSYNC, RENAME, FLOCK, CREATE = range(6)
KINDS: Mapping[str, tuple[int, int]] = {
    "EIO on read": (READ, errno.EIO),
    "EIO on write": (WRITE, errno.EIO),
    "full disk": (WRITE, errno.ENOSPC),
    "EIO on fsync": (FSYNC, errno.EIO),
    "EIO on rename": (RENAME, errno.EIO),
    "no locks": (FLOCK, errno.ENOLCK),
    "read-only": (CREATE, errno.EROFS),
    "no permission": (CREATE, errno.EACCES),
}
"""Kinds of call, and the error that they end with."""
LIMIT_S = 120
NEVER = 1 << 40
shim = ctypes.CDLL(None)


def arm(call: int, folder: Path, error: int, first: int, times: int) -> None:
    number = [ctypes.c_long(value) for value in (first, times)]
    shim.fault_arm(call, os.fsencode(folder), error, *number)


def bounded(folder: Path, arguments: Sequence[str], log: Path) -> int | None:
    """Exit code of a process; None if it took too long."""
    child, begun = start(arguments, log), time.monotonic()
    while (code := ended(child)) is None:
        if time.monotonic() - begun > LIMIT_S:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.002)
    return code


def problem(code: int | None, printed: str) -> str | None:
    """What is wrong with the end of a command; None if it is as promised."""
    if code is None:
        return "no end"
    if code not in EXIT_CODES:
        return f"exit code {code}"
    if "Traceback" in printed or UNEXPECTED.search(printed):
        return "unforeseen"
    if code and not printed.rstrip().splitlines()[-1:][0].startswith("error: "):
        return "no error line"
    return None


@dataclass
class Trial:
    """A command, the folder that it runs in and is compared with, and one that it reads."""

    folder: Path
    inputs: Path
    verify: Sequence[str]
    last: int
    timed: Sequence[str]
    arguments: Sequence[str]
    log: Path
    expected: dict[str, str] = field(default_factory=dict)

    def below(self, call: int) -> Path:
        """The folder on whose files a kind of call fails."""
        return self.inputs if call == READ else self.folder

    def calls(self, call: int) -> int:
        """Number of calls of one kind of an undisturbed run."""
        emptied(self.folder)
        arm(call, self.below(call), 0, NEVER, 0)
        bounded(self.folder, self.arguments, self.log)
        calls: int = shim.fault_calls(call)
        shim.fault_clear()
        return calls

    def fail(self, call: int, error: int, first: int, times: int) -> tuple[int | None, str]:
        """Run on a disk that fails; returns exit code and output."""
        emptied(self.folder)
        arm(call, self.below(call), error, first, times)
        code = bounded(self.folder, self.arguments, self.log)
        shim.fault_clear()
        return code, self.log.read_text()

    def content(self) -> dict[str, str]:
        """The content of the folder, without that of files that hold times."""
        return {
            name: "" if any(fnmatch(name, pattern) for pattern in self.timed) else value
            for name, value in content(self.folder).items()
        }

    def difference(self, inputs_failed: bool) -> str | None:
        """What differs from an undisturbed run; what could not be read may be added later."""
        found = self.content()
        # A cache need not hold what could not be written to it.
        expected = {
            name: value
            for name, value in self.expected.items()
            if name in found or not name.startswith(CACHE)
        }
        if found != expected and not inputs_failed:
            return f"other result: {sorted({*found.items()} ^ {*expected.items()})}"
        if self.verify and bounded(self.folder, self.verify, self.log) != 0:
            return f"damaged: {self.log.read_text()}"
        return None

    def again(self, inputs_failed: bool) -> str | None:
        """What is wrong after the same command on a sound disk."""
        code = bounded(self.folder, self.arguments, self.log)
        if code not in (0, self.last):
            return f"then exit code {code}: {self.log.read_text()[-300:]}"
        return self.difference(inputs_failed)


def last_line(printed: str) -> str:
    """The last line, without names of temporary files."""
    return re.sub(r"[0-9a-f]{8}-[\w-]+", "*", printed.rstrip().rpartition("\n")[2])


def main(cases: int, trial: Trial) -> None:
    prepare(trial.folder)
    rng, tried = random.Random(0), 0
    emptied(trial.folder)
    if (code := bounded(trial.folder, trial.arguments, trial.log)) != 0:
        sys.exit(f"exit code {code}: {trial.log.read_text()}")
    trial.expected = trial.content()
    wrong, messages = dict[str, Any](), Counter[str]()
    for kind, (call, error) in KINDS.items():
        calls = trial.calls(call)
        for first in sorted(rng.choices(range(1, calls + 1), k=cases)) if calls else ():
            times = rng.choice([1, NEVER])
            code, printed = trial.fail(call, error, first, times)
            tried += 1
            messages[f"{code} {last_line(printed)}"] += code != 0
            found = problem(code, printed)
            found = found or (trial.difference(call == READ) if code == 0 else None)
            found = found or trial.again(call == READ)
            if found is not None:
                name = f"{kind}, {first} of {calls}{' only' if times == 1 else ''}"
                wrong[name] = [code, found, printed[-600:]]
    sys.stdout.write(json.dumps({"tried": tried, "wrong": wrong, "messages": messages}))


if __name__ == "__main__":
    folder, inputs, cases, verify, last, timed, *arguments = sys.argv[1:]
    log, check, places = Path(folder).with_name("log"), verify.split(), (Path(folder), Path(inputs))
    main(int(cases), Trial(*places, check, int(last), timed.split(), arguments, log))
