"""Devices, number formats and memory, and whether this is one process or one of many."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist

from mscol_cli.errors import UsageError
from mscol_cli.system.launcher import Launched, launched

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""
NEVER = 2**31 - 1


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


def keep_freed_memory() -> bool:
    """Let the C library reuse what large tensors leave behind, instead of giving it back.

    A step on the CPU frees and takes gigabytes of activations. By default each comes anew from the
    kernel, which clears every page: a third of the step. The process then holds on to the memory of
    its largest step until it ends.

    Returns:
        Whether the C library can: glibc, on Linux.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))


def memory_in_use(device: torch.device) -> int | None:
    """Bytes: the most that tensors have had on a GPU at once; on a CPU, what the process has in
    memory now. None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(resident) * os.sysconf("SC_PAGE_SIZE")


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The format of the encoder's activations; weights and statistics are float32 in any case.

    Args:
        name: `auto` is `bf16` on a GPU that has it, and `fp32` elsewhere.
        device: Where the encoder is.
    """
    if name == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(False)
        return torch.bfloat16 if has_bf16 else torch.float32
    return torch.bfloat16 if name == "bf16" else torch.float32


def forbid_tf32() -> None:
    """Let float32 be float32 on a GPU: torch rounds the inputs of convolutions to 10 bits there.

    Who wants speed has bf16; front end, similarity and loss are too small a share to gain from it.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
