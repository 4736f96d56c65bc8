"""Memory of the process: how much it holds, and that large tensors that are freed stay with it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""
NEVER = 2**31 - 1


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
