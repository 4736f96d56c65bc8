"""Start the processes of a run on this machine, through torch.distributed's own launcher."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mscol_cli.errors import Interrupted, MscolError
from mscol_cli.outliving import LAUNCHER

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2"


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
        config.signals_to_handle = SIGNALS
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
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = SIGNALS
    os.environ[LAUNCHER] = str(os.getpid())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """The launcher leaves its handlers of signals behind, and Ctrl-C would end as a failure."""
    numbers = [getattr(signal, name) for name in SIGNALS.split(",") if hasattr(signal, name)]
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
