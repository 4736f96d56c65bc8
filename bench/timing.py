"""CPU time of calls and commands; other processes affect it less than the elapsed time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of a call in all threads, in seconds."""
    begun = resource.getrusage(resource.RUSAGE_SELF)
    work()
    ended = resource.getrusage(resource.RUSAGE_SELF)
    return ended.ru_utime - begun.ru_utime + ended.ru_stime - begun.ru_stime


def best_cpu_seconds(work: Callable[[], object], rounds: int = 7) -> float:
    """Shortest CPU time of some calls, in seconds."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def alternate(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What works return, such as their seconds, when they run alternately. One more round before
    fills caches."""
    times = [{name: work() for name, work in works.items()} for _ in range(rounds + 1)][1:]
    return {name: [by_name[name] for by_name in times] for name in works}


_MEASURE = """
import resource, signal, subprocess, sys
signal.signal(signal.SIGINT, lambda *_: None)
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    file.write(f"{used.ru_utime + used.ru_stime} {used.ru_maxrss} {code}")
"""
"""A small process that starts a command: its peak memory is at least that of who starts it."""


@dataclass(frozen=True)
class Usage:
    """What a command used.

    Attributes:
        seconds: CPU time, user and system.
        memory: Peak memory in MB.
        code: Exit code.
    """

    seconds: float
    memory: float
    code: int


def run_mscol(
    command: Sequence[object],
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    watch: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> Usage:
    """Run a command of mscol in one thread.

    Args:
        command: Words behind `mscol`.
        environment: Additional environment variables.
        log: File for what it prints; None to print it.
        watch: Called when the process was started; signals are for its process group.
    """
    mscol = [sys.executable, "-m", "mscol_cli", *map(str, command)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    with tempfile.TemporaryDirectory() as folder, (log or Path(os.devnull)).open("w") as file:
        output, used = None if log is None else file, Path(folder) / "used"
        words = [sys.executable, "-c", _MEASURE, str(used), *mscol]
        process = subprocess.Popen(
            words, env=variables, stdout=output, stderr=output, start_new_session=True
        )
        if watch is not None:
            watch(process)
        process.wait()
        seconds, memory, code = used.read_text().split()
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return Usage(float(seconds), int(memory) * kilobyte / 1e6, int(code))


class Server:
    """A process that works on request, with `serve`, and answers with its CPU time."""

    def __init__(self, *words: object, environment: Mapping[str, str] | None = None) -> None:
        pipe, variables = subprocess.PIPE, {**os.environ, **(environment or {})}
        command = [sys.executable, *map(str, words)]
        self._process = subprocess.Popen(
            command, text=True, bufsize=1, stdin=pipe, stdout=pipe, env=variables
        )

    def seconds(self, request: object = "") -> float:
        """CPU seconds of a piece of work."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{request}\n")
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()


def serve(work: Callable[[str], object]) -> None:
    """Work for each line of stdin, and print the CPU seconds."""
    for line in sys.stdin:
        begun = time.process_time()
        work(line.rstrip("\n"))
        print(time.process_time() - begun, flush=True)
