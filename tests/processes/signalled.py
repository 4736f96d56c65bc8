"""Runs `mscol` in processes that send themselves a signal at one of their changes to the disk.

They are forked from one that has loaded everything and computed nothing: one with threads at work
must not be forked.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from mscol_cli.__main__ import main

Call = tuple[ModuleType, str]
CHANGES: Sequence[Call] = [(os, name) for name in ("fsync", "replace", "rename", "unlink", "mkdir")]


def arm(moments: int, number: signal.Signals, calls: Sequence[Call]) -> Callable[[], int]:
    """Have this process signal itself at the so manyth of these calls. Returns how to ask for the
    number of calls so far."""
    left = moments

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)
            return call(*arguments, **options)

        return counting

    for module, name in calls:
        setattr(module, name, counted(getattr(module, name)))
    return lambda: moments - left


def run(
    moments: int,
    number: signal.Signals,
    arguments: Sequence[str],
    calls: Sequence[Call] = CHANGES,
) -> int:
    """Exit code of a process that signals itself, negative for a signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            sys.argv = ["mscol", *arguments]
            arm(moments, number, calls)
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_changes(arguments: Sequence[str]) -> int:
    """Number of changes to the disk of an undisturbed process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        changes = arm(1 << 40, signal.SIGKILL, CHANGES)
        try:
            sys.argv = ["mscol", *arguments]
            main()
        except SystemExit:
            os.write(writer, str(changes()).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as file:
        return int(file.read())
