"""Processes started by torchrun, srun or mscol: their ranks, and exit with the launcher.

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK and MASTER_ADDR. srun sets other variables, of which
those of the step are used: SLURM_NTASKS is also set in the script that sbatch runs and in the shell
that salloc opens, where there is only one process.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mscol_cli.errors import UsageError

PORTS = 20_000, 30_000
"""Rendezvous ports for srun, below the range that systems use for outgoing connections."""
MAX_TIMEOUT_S = 1_000_000
LAUNCHER = "MSCOL_LAUNCHER"
"""Environment variable with the process id of the launcher."""
POLL_S = 0.5
TIMEOUT, DEFAULT_TIMEOUT_S = "MSCOL_TIMEOUT", 600.0
"""Environment variable, and seconds without it, that processes wait for one another."""


_imported = time.time()


def end_process(code: int) -> NoReturn:
    """Exit, as one of several processes without ending the interpreter.

    Threads of gloo outlive the process group of a DistributedDataParallel model. If one of them
    releases a tensor while the interpreter ends, torch aborts the process, whose work is done.
    """
    if {"WORLD_SIZE", "SLURM_PROCID"} & os.environ.keys():
        with suppress(OSError):  # nobody reads any more
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


@dataclass(frozen=True)
class Launched:
    """This process, as one of several.

    Attributes:
        rank: Rank among all processes, from 0.
        processes: Number of processes.
        local_rank: Rank among the processes of this machine, from 0.
        address: Host of the first process; empty if unknown.
        port: Port of the first process on that host; 0 if unknown.
    """

    rank: int
    processes: int
    local_rank: int
    address: str
    port: int


def launched() -> Launched | None:
    """Read the environment set by torchrun or srun; None if neither started this process.

    Raises:
        UsageError: The variables are invalid.
    """
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return _from_environment("RANK", "WORLD_SIZE", "LOCAL_RANK", "", 0)
    if "SLURM_PROCID" in os.environ and _number("SLURM_STEP_NUM_TASKS", "1") > 1:
        host = first_host(os.environ.get("SLURM_STEP_NODELIST", ""))
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
        return _from_environment(*names, host, _port())
    return None


def timeout_s() -> float:
    """Seconds that processes wait for one another, at the start and in every step.

    Raises:
        UsageError: The variable is not a positive number.
    """
    text = os.environ.get(TIMEOUT) or str(DEFAULT_TIMEOUT_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < MAX_TIMEOUT_S:
        raise UsageError(
            f"{TIMEOUT} is '{text}': use seconds, above 0 and below {MAX_TIMEOUT_S:,}."
        )
    return seconds


def launched_at() -> float:
    """Time at which the job of this process began, in seconds since the epoch.

    It is that of torchrun or the step of srun, which start at the same time on all hosts; their
    processes import torch at different speeds. Without them it is that of this process.
    """
    of_launcher = bool({"TORCHELASTIC_RUN_ID", "SLURM_PROCID"} & os.environ.keys())
    process = os.getppid() if of_launcher else os.getpid()
    try:
        fields = (
            Path(f"/proc/{process}/stat")
            .read_text(encoding="utf-8", errors="replace")
            .rpartition(")")[2]
            .split()
        )
        uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    except OSError:  # not Linux
        return _imported
    return time.time() - uptime + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def is_first() -> bool:
    """Whether this is the only process or the first of several, which prints for all of them."""
    process = launched()
    return process is None or process.rank == 0


def reports_interruption() -> bool:
    """Whether this process reports a signal, which schedulers send to all processes of a job."""
    try:
        return is_first()
    except UsageError:  # invalid variables
        return True


def first_host(nodes: str) -> str:
    """First host of a SLURM node list: `gpu003` for `gpu[003-007,12],login`."""
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
    # Jobs and steps that share a host need different ports.
    job, step = _number("SLURM_JOB_ID"), _number("SLURM_STEP_ID")
    return PORTS[0] + (job * 17 + step) % (PORTS[1] - PORTS[0])


def _number(name: str, default: str = "0") -> int:
    text = os.environ.get(name, default)
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name} is '{text}', which is not a number.") from None


def exit_with_parent() -> None:
    """Start a thread that ends this process as soon as its launcher has ended.

    A killed launcher cannot stop its processes, which would keep running beside those of the next
    command. Unfinished work is lost, as after a kill.
    """
    launcher = int(os.environ.get(LAUNCHER, os.getppid()))
    threading.Thread(target=_exit_when_orphaned, args=(launcher,), daemon=True).start()


def _exit_when_orphaned(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(POLL_S)
    os._exit(1)
