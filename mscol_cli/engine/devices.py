"""Which device, and whether this is one process or one of many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from mscol_cli.errors import UsageError


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
    index = device.index if device.index is not None else int(os.environ.get("LOCAL_RANK", 0))
    if index >= torch.cuda.device_count():
        raise UsageError(
            f"device cuda:{index} was asked for, this machine has {torch.cuda.device_count()} GPUs:"
            " use --device cpu."
        )
    return torch.device("cuda", index)


def require_gpus(count: int) -> None:
    """Refuse when fewer GPUs are here than asked for. Raises UsageError."""
    found = torch.cuda.device_count()
    if found < count:
        raise UsageError(
            f"--gpus {count} was asked for, this machine has {found}: lower --gpus, or use"
            f" --processes {count} --device cpu."
        )


def is_launched() -> bool:
    """Whether torchrun (or srun with its variables) started this process as one of many."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes this one was launched with; nothing to do for a lone process."""
    if not is_launched():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
        # A process that leaves early closes connections that others may still be reading from.
        dist.barrier()
    finally:
        dist.destroy_process_group()
