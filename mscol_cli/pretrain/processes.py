"""Processes of training: started, waited for, and stopped between two steps."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, cast

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mscol_cli.errors import Interrupted, MscolError
from mscol_cli.system import distributed
from mscol_cli.system.launcher import LAUNCHER, STOPPING

SIGNALS = (signal.SIGINT, *STOPPING)
FORWARDED = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2"


class StopRequest:
    """Whether someone asked to stop; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}
        self._flag = torch.zeros(1)
        self._vote: dist.Work | None = None
        # Flags of all processes meet on the hosts: on a GPU they would wait for its whole queue.
        many = distributed.world_size() > 1
        self._group = cast(dist.ProcessGroup, dist.new_group(backend="gloo")) if many else None

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; elsewhere (a test, a notebook) there are none.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._vote is not None:
            self._vote.wait()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def agreed(self) -> bool:
        """Whether any process was asked; every process must call this after every update.

        With several processes a request is honoured one update late: what each was asked travels
        while the next update is made, so that no update waits for it.
        """
        if self._group is None:
            return self._asked
        found = self._vote is not None and self._vote.wait() and bool(self._flag.item())
        self._flag = torch.tensor([float(self._asked)])
        self._vote = dist.all_reduce(self._flag, dist.ReduceOp.MAX, self._group, async_op=True)
        return found

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True


def launch(processes: int, arguments: Sequence[str]) -> None:
    """Run `python -m mscol_cli ARGUMENTS` in `processes` processes that know of each other.

    Raises:
        Interrupted: A signal ended them.
        MscolError: One failed; the error carries its exit code.
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
        config.signals_to_handle = FORWARDED
    # The launcher's own account of a failure repeats what the process has said, at length.
    logging.disable(logging.CRITICAL)
    try:
        with _environment(processes), _handlers_kept():
            elastic_launch(config, sys.executable)("-m", "mscol_cli", *arguments)
    except SignalException as error:
        raise Interrupted(f"stopped by {error.sigval.name}.") from None
    except ChildFailedError as error:
        raise _failure(error, processes) from None
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _environment(processes: int) -> Iterator[None]:
    """What the processes find in their environment, and this one only while it has them."""
    before = dict(os.environ)
    # Threads of several processes that wait for each other on the same cores cost many times more.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    # The launcher passes on to the processes what it is sent itself.
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = FORWARDED
    os.environ[LAUNCHER] = str(os.getpid())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """The launcher leaves its handlers of signals behind, and Ctrl-C would end as a failure."""
    numbers = [getattr(signal, name) for name in FORWARDED.split(",") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
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
