"""Devices, precision, memory and the process group."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from mscol_cli.errors import MscolError, UsageError
from mscol_cli.system.launcher import TIMEOUT, Launched, launched, timeout_s
from mscol_cli.system.text import first_line

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Constants of glibc's malloc.h."""
DEFAULT_MMAP_MAX, DEFAULT_TRIM_THRESHOLD = 65_536, 128 * 1024
"""Their defaults, from the manual page of mallopt."""
NEVER = 2**31 - 1

_keepers = 0
_keepers_lock = threading.Lock()


def pick_device(name: str = "auto") -> torch.device:
    """Return a device by name. `auto` is the GPU of this process, or the CPU without a GPU.

    Raises:
        UsageError: The device does not exist on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device '{name}': use auto, cpu, cuda or cuda:N.")
    return _pick_gpu(device) if device.type == "cuda" else device


def _pick_gpu(device: torch.device) -> torch.device:
    count = torch.cuda.device_count()
    index = _local_gpu(count) if device.index is None else device.index
    if index >= count:
        raise UsageError(
            f"device cuda:{index} does not exist, this machine has {count} GPUs: use --device cpu."
        )
    return torch.device("cuda", index)


def _local_gpu(count: int) -> int:
    process = launched()
    # srun can restrict each process to one GPU, which then has index 0.
    return process.local_rank if process is not None and count > 1 else 0


def require_gpus(count: int, instead: str, option: str = "--gpus") -> None:
    """Raise UsageError, with the options to use instead, if this machine has fewer GPUs."""
    available = torch.cuda.device_count()
    if available < count:
        raise UsageError(
            f"{option} {count} needs {count} GPUs, this machine has {available}: lower {option}, or"
            f" use {instead}."
        )


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """Software and hardware that affect rounding, besides the settings of a run."""
    if device.type == "cuda":
        return {"torch": torch.__version__, "device": torch.cuda.get_device_name(device)}
    return {
        "torch": torch.__version__,
        "device": f"CPU with {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
    }


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the process group of a launched process; a single process only makes `device` current.

    Raises:
        UsageError: The launcher gives no address or port.
        MscolError: The processes cannot connect within the time limit.
    """
    process = launched()
    if process is None:
        # Parts of torch use the current GPU.
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    _connect(process, device)
    try:
        yield
        # A process that leaves early closes connections that others may still be reading from.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _connect(process: Launched, device: torch.device) -> None:
    backend = "nccl" if device.type == "cuda" else "gloo"
    address, limit = _rendezvous(process), timeout_s()
    try:
        dist.init_process_group(
            backend,
            init_method=address,
            rank=process.rank,
            world_size=process.processes,
            timeout=timedelta(seconds=limit),
            # Without it, barriers guess the GPU, and warn.
            device_id=device if device.type == "cuda" else None,
        )
    # torch raises errors of many kinds for a port in use, an unknown host and a missing process.
    except (RuntimeError, OSError, ValueError) as error:
        reason = first_line(error)[:200]
        raise MscolError(
            f"process {process.rank} of {process.processes} cannot connect to"
            f" {process.address}:{process.port} ({reason}): check that all processes run, and that"
            f" the host is known and the port free; {TIMEOUT} sets the limit of {limit:g} s."
        ) from error


def _rendezvous(process: Launched) -> str:
    if not process.address or not process.port:
        raise UsageError(
            f"process {process.rank} of {process.processes} has no address to connect to: set"
            " MASTER_ADDR and MASTER_PORT, or start with torchrun or srun."
        )
    # env:// also reads torchrun's other variables, which describe the store it has opened.
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = process.address, str(process.port)
    return "env://"


@contextmanager
def keep_freed_memory() -> Iterator[bool]:
    """Context in which the C library reuses the memory of freed tensors instead of returning it to
    the system.

    A step on the CPU frees and allocates gigabytes of activations. By default the kernel maps and
    clears new pages each time, which takes a third of the step. In this context, the process keeps
    the memory of its largest step. Contexts can be nested, also those of several threads.

    Yields:
        Whether the C library supports it (glibc on Linux).
    """
    global _keepers
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    mallopt = getattr(library, "mallopt", None)
    if library is None or mallopt is None:
        yield False
        return
    with _keepers_lock:
        _keepers += 1
        is_supported = bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))
    try:
        yield is_supported
    finally:
        with _keepers_lock:
            _keepers -= 1
            if not _keepers:
                mallopt(M_MMAP_MAX, DEFAULT_MMAP_MAX)
                mallopt(M_TRIM_THRESHOLD, DEFAULT_TRIM_THRESHOLD)
                library.malloc_trim(0)


def random_state_kept(device: torch.device) -> AbstractContextManager[None]:
    """Context after which torch's random state is as before, on the CPU and on `device`."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def release_memory() -> None:
    """Return memory that the caching allocator of a GPU holds, after tensors were freed."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def memory_in_use(device: torch.device) -> int | None:
    """Memory in bytes: on a GPU the peak of allocated tensors, on a CPU the resident memory of the
    process. None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(resident) * os.sysconf("SC_PAGE_SIZE")


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Data type of the encoder's activations; weights and statistics are always float32.

    Args:
        name: `fp32`, `bf16` or `auto`: `bf16` on a GPU that supports it, else `fp32`.
        device: Device of the encoder.
    """
    if name == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(False)
        return torch.bfloat16 if has_bf16 else torch.float32
    return torch.bfloat16 if name == "bf16" else torch.float32


@contextmanager
def forbid_tf32() -> Iterator[None]:
    """Context without TF32, with which torch rounds the inputs of convolutions to 10 bits on a GPU.

    bf16 is the option for speed; front end, similarity and loss are too small a share to gain.
    """
    backends: Any = torch.backends
    owners: list[tuple[Any, str, object]] = [
        (backends.cuda.matmul, "allow_tf32", False),
        (backends.cudnn, "allow_tf32", False),
    ]
    try:
        before = [getattr(owner, name) for owner, name, _ in owners]
    except RuntimeError:
        # Something has set a `fp32_precision`, beside which torch refuses to read `allow_tf32`.
        parts = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
        owners = [(part, "fp32_precision", "ieee") for part in parts]
        before = [getattr(owner, name) for owner, name, _ in owners]
    for owner, name, exact in owners:
        setattr(owner, name, exact)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(owners, before, strict=True):
            setattr(owner, name, value)


def exact_floats(device: torch.device) -> AbstractContextManager[None]:
    """Context in which `device` computes in float32 throughout, without TF32."""
    return forbid_tf32() if device.type == "cuda" else nullcontext()
