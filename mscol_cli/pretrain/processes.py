"""Training processes: launch them, wait for them, and stop them between two steps."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mscol_cli.errors import Interrupted, MscolError
from mscol_cli.system import distributed
from mscol_cli.system.launcher import LAUNCHER, timeout_s
from mscol_cli.system.signals import STOPPING, ignore_further_signals, ignore_signals

SIGNALS = (signal.SIGINT, *STOPPING)
FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""Signals that the launcher forwards to the processes, the first of them only."""
LEFT_TO_TORCH = "SIGQUIT"
"""Signals that torch's launcher handles itself; a second one interrupts its wait."""
_DECIDED = "decided"
T = TypeVar("T")


class StopRequest:
    """A request to stop by a signal; a second Ctrl-C stops immediately."""

    def __init__(self) -> None:
        self._requested = False
        self._before: dict[int, Any] = {}
        self._flag = torch.zeros(1)
        self._vote: dist.Work | None = None
        # Flags are reduced on the hosts: on a GPU they would wait for its queue.
        many = distributed.world_size() > 1
        limit = timedelta(seconds=timeout_s())
        group = dist.new_group(backend="gloo", timeout=limit) if many else None
        self._group = cast(dist.ProcessGroup | None, group)

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; in other threads (notebooks) none are set.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._request) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._vote is not None:
            self._vote.wait()
        # Schedulers repeat signals while the state of the run is recorded and the process ends.
        if self._requested and self._before and ignore_further_signals(SIGNALS):
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def is_requested(self) -> bool:
        """Whether this process should stop."""
        return self._requested

    def agreed(self) -> bool:
        """Whether any process should stop; all processes must call this after every update.

        With several processes a request takes effect one update late: flags are reduced during the
        next update, so that no update waits for them.
        """
        if self._group is None:
            return self._requested
        stop = self._vote is not None and self._vote.wait() and bool(self._flag.item())
        self._flag = torch.tensor([float(self._requested)])
        self._vote = dist.all_reduce(self._flag, dist.ReduceOp.MAX, self._group, async_op=True)
        return stop

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self._requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._requested = True


def decided_by_first(
    decide: Callable[[], tuple[str, T]], device: torch.device
) -> tuple[str, T | None]:
    """Call a function in the first process, and tell the others its text or its exit code.

    Args:
        decide: Returns a text for all processes, at most 4,000 bytes, and a value.
        device: Device of this process.

    Returns:
        The text, and in the first process the value.

    Raises:
        SystemExit: The first process failed, and prints its error.
    """
    if distributed.rank() != 0:
        outcome, _, text = distributed.broadcast_text("", device).partition(" ")
        if outcome != _DECIDED:
            raise SystemExit(int(outcome))
        return text, None
    try:
        text, value = decide()
    except BaseException as error:
        code = error.exit_code if isinstance(error, MscolError) else 1
        distributed.broadcast_text(f"{code} ", device)
        raise
    distributed.broadcast_text(f"{_DECIDED} {text}", device)
    return text, value


def launch(processes: int, arguments: Sequence[str]) -> None:
    """Run `python -m mscol_cli ARGUMENTS` in `processes` processes of one process group.

    After a signal they have `timeout_s` seconds to save, then they are killed.

    Raises:
        Interrupted: A signal stopped them.
        MscolError: One failed; the error has its exit code.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=f"mscol-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
    )
    if hasattr(config, "signals_to_handle"):  # not in every torch; there it overrides the variable
        config.signals_to_handle = LEFT_TO_TORCH
    if hasattr(config, "shutdown_timeout"):  # else torch kills them 30 s after the signal
        config.shutdown_timeout = math.ceil(timeout_s())
    try:
        with _environment(processes), _forwarding(), _logging_disabled():
            elastic_launch(config, sys.executable)("-m", "mscol_cli", *arguments)
    except SignalException as error:
        raise Interrupted(f"stopped by {error.sigval.name}.") from None
    except ChildFailedError as error:
        raise _failure(error, processes) from None


@contextmanager
def _logging_disabled() -> Iterator[None]:
    """Disable logging: the launcher's log repeats at length what a failed process has printed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _environment(processes: int) -> Iterator[None]:
    """Set environment variables of the processes, and restore them afterwards."""
    before = dict(os.environ)
    # Processes that compete for cores with too many threads are several times slower.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = LEFT_TO_TORCH
    os.environ[LAUNCHER] = str(os.getpid())
    try:
        yield
    finally:
        # Never empty, not even for a moment: other threads may read it.
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _forwarding() -> Iterator[None]:
    """Let the first signal stop the processes; further ones are ignored while they save."""
    if threading.current_thread() is not threading.main_thread():
        yield  # there no handlers can be set
        return
    numbers = [getattr(signal, name) for name in FORWARDED if hasattr(signal, name)]
    restored = [*numbers, *(getattr(signal, LEFT_TO_TORCH, None),)]
    before = {number: signal.getsignal(number) for number in restored if number is not None}

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals(numbers)
        raise SignalException(f"signal {number}", sigval=signal.Signals(number))

    for number in numbers:
        signal.signal(number, stop)
    stopped = False
    try:
        yield
    except SignalException:
        stopped = True
        raise
    finally:
        if not (stopped and ignore_further_signals(numbers)):
            for number, handler in before.items():
                signal.signal(number, handler)


def _failure(error: ChildFailedError, processes: int) -> MscolError:
    rank, first = error.get_first_failure()
    how = f"failed (exit code {first.exitcode})"
    if first.exitcode < 0:
        how = f"was killed by {signal.Signals(-first.exitcode).name}"
    failure = MscolError(f"process {rank} of {processes} {how}.")
    failure.exit_code = first.exitcode if 0 < first.exitcode < 128 else 1
    return Interrupted("stopped.") if first.exitcode == 130 else failure
