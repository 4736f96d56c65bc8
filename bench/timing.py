"""CPU time of calls, which other processes of the machine affect less than wall time."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable


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
