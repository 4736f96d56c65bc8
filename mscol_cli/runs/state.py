"""What became of a run: RUN/state.json says whether it goes on, and why it does not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mscol_cli.errors import Interrupted, MscolError, UsageError
from mscol_cli.system.files import read_json, write_json
from mscol_cli.system.locks import Lock

STATE, _LOCK = "state.json", ".lock"
RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"


@dataclass(frozen=True)
class RunState:
    """Where a run stands.

    Attributes:
        state: `running`, `finished`, `interrupted` or `failed`.
        reason: Why it stopped; empty for one that is running or finished.
        host: Machine of the first process.
        process: Its number there.
    """

    state: str
    reason: str = ""
    host: str = ""
    process: int = 0


@contextmanager
def track_state(run: Path) -> Iterator[None]:
    """Write down that a run is going on, and how it ended; for one process of it.

    Raises:
        UsageError: Another does.
    """
    with training_lock(run):
        yield from _track_state(run)


def _track_state(run: Path) -> Iterator[None]:
    record(run, RUNNING)
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        _try_to_record(run, INTERRUPTED, str(error) or "stopped at once")
        raise
    except BaseException as error:
        _try_to_record(run, FAILED, _reason(error))
        raise
    record(run, FINISHED)


@contextmanager
def training_lock(run: Path) -> Iterator[None]:
    """Keep other processes from training the same run; the system lets go when this one ends.

    Raises:
        UsageError: Another process trains it.
    """
    lock = Lock(run / _LOCK, required=False)
    if not lock.take():
        raise UsageError(f"{run} is being trained by another process: wait for it, or stop it.")
    with lock:
        yield


def _try_to_record(run: Path, state: str, reason: str) -> None:
    # On a full disk what the run failed of matters, not that this cannot be written either.
    with suppress(OSError):
        record(run, state, reason)


def record(run: Path, state: str, reason: str = "") -> None:
    """Write a run's state, and who says so."""
    write_json(run / STATE, asdict(RunState(state, reason, socket.gethostname(), os.getpid())))


def read_state(run: Path) -> RunState | None:
    """A run's state; None where none was written. One whose process is gone was interrupted.

    Raises:
        UsageError: The file is damaged.
    """
    if not (run / STATE).exists():
        return None
    content = read_json(run / STATE, "run folder")
    found = RunState(**{name: content[name] for name in asdict(RunState("")) if name in content})
    gone = found.host == socket.gethostname() and not _is_alive(found.process)
    if found.state == RUNNING and gone:
        return RunState(INTERRUPTED, "its process is gone", found.host, found.process)
    return found


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MscolError) else f"{type(error).__name__}: {text}"
