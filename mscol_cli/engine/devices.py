"""Which device, and whether this is one process or one of many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from mscol_cli.errors import UsageError
from mscol_cli.launched import Launched, launched


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is this process's GPU when there is one, else the CPU.

    Raises:
        UsageError: The device is not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"'{name}' is no device: use auto, cpu, cuda or cuda:N.") from None
    if device.type == "cuda":
        return _pick_gpu(device)
    return device


def _pick_gpu(device: torch.device) -> torch.device:
    found = torch.cuda.device_count()
    index = _own_gpu(found) if device.index is None else device.index
    if index >= found:
        raise UsageError(
            f"device cuda:{index} was asked for, this machine has {found} GPUs: use --device cpu."
        )
    return torch.device("cuda", index)


def _own_gpu(found: int) -> int:
    here = launched()
    # srun can show each process its own GPU alone, which then is the first.
    return here.local_rank if here is not None and found > 1 else 0


def require_gpus(count: int) -> None:
    """Refuse when fewer GPUs are here than asked for. Raises UsageError."""
    found = torch.cuda.device_count()
    if found < count:
        raise UsageError(
            f"--gpus {count} was asked for, this machine has {found}: lower --gpus, or use"
            f" --processes {count} --device cpu."
        )


def is_launched() -> bool:
    """Whether torchrun or srun started this process as one of many. Raises UsageError."""
    return launched() is not None


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """What decides how the numbers of an update are rounded, besides the settings of the run."""
    if device.type == "cuda":
        return {"torch": torch.__version__, "device": torch.cuda.get_device_name(device)}
    return {
        "torch": torch.__version__,
        "device": f"CPU with {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
    }


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes this one was launched with; nothing to do for a lone process.

    Raises:
        UsageError: The launcher does not say where they meet.
    """
    here = launched()
    if here is None:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=_meeting(here),
        rank=here.rank,
        world_size=here.processes,
    )
    try:
        yield
        # A process that leaves early closes connections that others may still be reading from.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _meeting(here: Launched) -> str:
    if not here.address or not here.port:
        raise UsageError(
            f"this is process {here.rank} of {here.processes}, but nothing says where they meet:"
            " set MASTER_ADDR and MASTER_PORT, or start with torchrun or srun."
        )
    # What torchrun has opened to the address and port is found through its other variables, too.
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = here.address, str(here.port)
    return "env://"
