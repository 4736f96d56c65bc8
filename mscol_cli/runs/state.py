"""State of a run in RUN/state.json: running, or why it stopped."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread

from mscol_cli.errors import Interrupted, MscolError, UsageError
from mscol_cli.system.files import write_json
from mscol_cli.system.json_files import parsing, read_json
from mscol_cli.system.locks import Lock
from mscol_cli.system.temporary import is_alive, machine_id
from mscol_cli.system.units import format_duration
from mscol_cli.system.values import from_json

STATE, _LOCK = "state.json", ".lock"
HEARTBEAT_S, SILENT_S = 30.0, 300.0
"""Seconds between two signs of life of a run, and from which a run on another host was lost."""
RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"


@dataclass(frozen=True)
class RunState:
    """State of a run.

    Attributes:
        state: `running`, `finished`, `interrupted` or `failed`.
        reason: Why it stopped; empty for a running or finished run.
        host: Host name of the first process.
        process: Process id of the first process.
        machine: Identifies the host, its boot and the container of the first process.
    """

    state: str
    reason: str = ""
    host: str = ""
    process: int = 0
    machine: str = ""


@contextmanager
def track_state(run: Path, warn: Callable[[str], None] = lambda _: None) -> Iterator[Lock]:
    """Record that a run is running, and how it ended. Only one process may do so.

    Yields the lock of the run: `require_held` before each change of the run notices a process of
    another host, where locks do not hold between hosts.

    Args:
        run: The run folder.
        warn: Receives a warning if the file system has no locks.

    Raises:
        UsageError: Another process is training the run.
    """
    with training_lock(run) as lock:
        if not lock.has_effect:
            warn(f"the file system of {run} has no locks: train it with one command at a time.")
        record(run, RUNNING)
        try:
            with _heartbeat(run / STATE):
                yield lock
        except (Interrupted, KeyboardInterrupt) as error:
            try_to_record(run, INTERRUPTED, str(error) or "stopped at once")
            raise
        except BaseException as error:
            try_to_record(run, FAILED, _reason(error))
            raise
        record(run, FINISHED)


@contextmanager
def training_lock(run: Path) -> Iterator[Lock]:
    """Prevent other processes from training the same run.

    Raises:
        UsageError: Another process is training the run.
    """
    lock = Lock(run / _LOCK, required=False, marked=True)
    if not lock.take():
        raise UsageError(f"{run} is being trained by another process: wait for it, or stop it.")
    with lock:
        yield lock


@contextmanager
def _heartbeat(path: Path) -> Iterator[None]:
    """Modify the time of a file regularly, as other hosts cannot see whether this process lives."""
    ended = Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_S):
            with suppress(OSError):
                os.utime(path)

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def try_to_record(run: Path, state: str, reason: str) -> None:
    """Record a state if possible: if the disk is full, the original error matters."""
    with suppress(OSError):
        record(run, state, reason)


def record(run: Path, state: str, reason: str = "") -> None:
    """Write the state of a run, with host and process id. Raises OSError, also if the run was
    removed."""
    if not run.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(run))
    host, process, machine = socket.gethostname(), os.getpid(), machine_id()
    write_json(run / STATE, asdict(RunState(state, reason, host, process, machine)))


def read_state(run: Path) -> RunState | None:
    """Read the state of a run; None if missing. A run whose process has exited was interrupted, as
    was one on another host that has not reported for minutes.

    Raises:
        UsageError: The file is damaged.
    """
    state = recorded_state(run)
    if state is None or state.state != RUNNING:
        return state
    if (state.machine or state.host) in (machine_id(), socket.gethostname()):
        gone = "" if is_alive(state.process) else "its process is gone"
    else:
        silent_s = time.time() - (run / STATE).stat().st_mtime
        silent = f"its process on {state.host} has not reported for {format_duration(silent_s)}"
        gone = silent if silent_s > SILENT_S else ""
    return replace(state, state=INTERRUPTED, reason=gone) if gone else state


def recorded_state(run: Path) -> RunState | None:
    """The state of a run as its process has recorded it; None if missing.

    Raises:
        UsageError: The file is damaged.
    """
    if not (run / STATE).exists():
        return None
    content = read_json(run / STATE, "run folder")
    with parsing(run / STATE):
        return from_json(RunState, content)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MscolError) else f"{type(error).__name__}: {text}"
