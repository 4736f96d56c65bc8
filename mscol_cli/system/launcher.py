"""Processes that launchers start: their rank, their signals, and their end with the launcher.

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK and MASTER_ADDR. srun sets its own names, among which
those of the step count: SLURM_NTASKS also stands in the script that sbatch runs, and in the shell
that salloc opens, where there is one process only.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from dataclasses import dataclass

from mscol_cli.errors import UsageError

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
"""What SLURM sends before it takes a machine back: SIGTERM (after SIGCONT, which needs no answer),
or what `sbatch --signal` names; not every system has all."""
PORTS = 20_000, 30_000
"""Ports for processes of srun to meet at, below those that systems give to outgoing connections."""
LAUNCHER = "MSCOL_LAUNCHER"
"""Names the process that starts others, in their environment."""
LOOK_S = 0.5


@dataclass(frozen=True)
class Launched:
    """This process, as one of several.

    Attributes:
        rank: Its number among all, from 0.
        processes: How many there are.
        local_rank: Its number among those of this machine, from 0.
        address: Host of the first process; empty where the launcher names none.
        port: Where the first process listens on that host; 0 for none.
    """

    rank: int
    processes: int
    local_rank: int
    address: str
    port: int


def launched() -> Launched | None:
    """What torchrun or srun says of this process; None where neither started it.

    Raises:
        UsageError: What they say makes no sense.
    """
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return _from_environment("RANK", "WORLD_SIZE", "LOCAL_RANK", "", 0)
    if "SLURM_PROCID" in os.environ and _number("SLURM_STEP_NUM_TASKS", "1") > 1:
        host = first_host(os.environ.get("SLURM_STEP_NODELIST", ""))
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
        return _from_environment(*names, host, _port())
    return None


def is_first() -> bool:
    """Whether this process is alone or the first of several, which prints for all of them."""
    here = launched()
    return here is None or here.rank == 0


def first_host(nodes: str) -> str:
    """The first host that SLURM's list names: `gpu[003-007,12],login` gives `gpu003`."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[(\d*)[^\]]*\]", r"\1", first[0]) if first else ""


def _from_environment(rank: str, processes: str, local: str, address: str, port: int) -> Launched:
    number, count = _number(rank), _number(processes)
    if not 0 <= number < count:
        raise UsageError(
            f"{rank} is {number}, of {processes} {count}: start with torchrun or srun."
        )
    address = os.environ.get("MASTER_ADDR", address)
    port = _number("MASTER_PORT", str(port))
    return Launched(number, count, _number(local), address, port)


def _port() -> int:
    # Jobs and steps that share a host must not meet at one port.
    job, step = _number("SLURM_JOB_ID"), _number("SLURM_STEP_ID")
    return PORTS[0] + (job * 17 + step) % (PORTS[1] - PORTS[0])


def _number(name: str, default: str = "0") -> int:
    text = os.environ.get(name, default)
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name} is '{text}', which is no number.") from None


def exit_with_parent() -> None:
    """From now on, end this process at once where the one that launched it is gone.

    A launcher that is killed cannot tell: its processes would work on, unseen, beside those of the
    same command run again. What is half done is as after a kill: lost, and nothing else.
    """
    launcher = int(os.environ.get(LAUNCHER, os.getppid()))
    threading.Thread(target=_exit_when_orphaned, args=(launcher,), daemon=True).start()


def _exit_when_orphaned(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(LOOK_S)
    os._exit(1)
