"""State of a run in RUN/state.json: running, or why it stopped."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mscol_cli.errors import Interrupted, MscolError, UsageError
from mscol_cli.system.files import write_json
from mscol_cli.system.json_files import parsing, read_json
from mscol_cli.system.locks import Lock
from mscol_cli.system.temporary import is_alive
from mscol_cli.system.values import from_json

STATE, _LOCK = "state.json", ".lock"
RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"


@dataclass(frozen=True)
class RunState:
    """State of a run.

    Attributes:
        state: `running`, `finished`, `interrupted` or `failed`.
        reason: Why it stopped; empty for a running or finished run.
        host: Host name of the first process.
        process: Process id of the first process.
    """

    state: str
    reason: str = ""
    host: str = ""
    process: int = 0


@contextmanager
def track_state(run: Path) -> Iterator[None]:
    """Record that a run is running, and how it ended. Only one process may do so.

    Raises:
        UsageError: Another process is training the run.
    """
    with training_lock(run):
        record(run, RUNNING)
        try:
            yield
        except (Interrupted, KeyboardInterrupt) as error:
            try_to_record(run, INTERRUPTED, str(error) or "stopped at once")
            raise
        except BaseException as error:
            try_to_record(run, FAILED, _reason(error))
            raise
        record(run, FINISHED)


@contextmanager
def training_lock(run: Path) -> Iterator[None]:
    """Prevent other processes from training the same run.

    Raises:
        UsageError: Another process is training the run.
    """
    lock = Lock(run / _LOCK, required=False)
    if not lock.take():
        raise UsageError(f"{run} is being trained by another process: wait for it, or stop it.")
    with lock:
        yield


def try_to_record(run: Path, state: str, reason: str) -> None:
    """Record a state if possible: if the disk is full, the original error matters."""
    with suppress(OSError):
        record(run, state, reason)


def record(run: Path, state: str, reason: str = "") -> None:
    """Write the state of a run, with host and process id. Raises OSError, also if the run was
    removed."""
    if not run.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(run))
    write_json(run / STATE, asdict(RunState(state, reason, socket.gethostname(), os.getpid())))


def read_state(run: Path) -> RunState | None:
    """Read the state of a run; None if missing. A run whose process has exited was interrupted.

    Raises:
        UsageError: The file is damaged.
    """
    if not (run / STATE).exists():
        return None
    content = read_json(run / STATE, "run folder")
    with parsing(run / STATE):
        state = from_json(RunState, content)
    exited = state.host == socket.gethostname() and not is_alive(state.process)
    if state.state == RUNNING and exited:
        return replace(state, state=INTERRUPTED, reason="its process is gone")
    return state


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MscolError) else f"{type(error).__name__}: {text}"
