"""Rank, world size and collectives for training.

Every function also works without a process group, as for a world size of 1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor

_thread = threading.local()
"""Whether `alone` is active, by thread: others read batches at the same time."""


def is_running() -> bool:
    """Whether a process group exists."""
    return dist.is_available() and dist.is_initialized()


@contextmanager
def alone() -> Iterator[None]:
    """Context in which this thread computes as a single process, without collectives."""
    before = _is_alone()
    _thread.alone = True
    try:
        yield
    finally:
        _thread.alone = before


def _is_alone() -> bool:
    return getattr(_thread, "alone", False) or not is_running()


def rank() -> int:
    """Rank of this process; 0 without a process group."""
    return 0 if _is_alone() else dist.get_rank()


def world_size() -> int:
    """Number of processes."""
    return 1 if _is_alone() else dist.get_world_size()


def lost_another(error: BaseException) -> bool:
    """Whether an error means that another process of the group has ended or is unreachable."""
    # NCCL and the key-value store raise DistError. For a lost peer, gloo raises a plain
    # RuntimeError, as any operator of torch does (tested with torch 2.14). Only its text, which
    # begins with the source file in gloo, distinguishes the two.
    from_gloo = isinstance(error, RuntimeError) and "/gloo/" in str(error)
    return is_running() and (isinstance(error, dist.DistError) or from_gloo)


def wait_for_all() -> None:
    """Block until every process has called this."""
    if world_size() > 1:
        dist.barrier()


def share(rows: int) -> slice:
    """The rows of a global batch for this process; all processes get the same number."""
    size = rows // world_size()
    return slice(rank() * size, (rank() + 1) * size)


class _Gather(torch.autograd.Function):
    """All-gather of rows; the gradient of each row is summed over all processes."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, local: Tensor) -> Tensor:  # noqa: ARG004
        return _all_gather(local)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return _reduce_scatter(gradients[0])


def _all_gather(local: Tensor) -> Tensor:
    gathered = local.new_empty((world_size() * len(local), *local.shape[1:]))
    _collective("all_gather_single", "all_gather_into_tensor")(gathered, local.contiguous())
    return gathered


def _reduce_scatter(rows: Tensor) -> Tensor:
    """The local rows of the sum over all processes. It sends half as much as an all-reduce, except
    with gloo, which implements it as one."""
    local = rows.new_empty((len(rows) // world_size(), *rows.shape[1:]))
    _collective("reduce_scatter_single", "reduce_scatter_tensor")(local, rows.contiguous())
    return local


def _collective(name: str, old_name: str) -> Callable[[Tensor, Tensor], object]:
    # torch 2.11 lacks the new names, and later versions warn about the old ones.
    function = getattr(dist, name, None) or getattr(dist, old_name)
    return cast(Callable[[Tensor, Tensor], object], function)


def gather(local: Tensor) -> Tensor:
    """Concatenate the rows of all processes, in rank order, with gradients.

    If each process computes the same loss from the gathered rows, the gradient of `local` is world
    size times that of a single process. Averaging parameter gradients over processes, as
    DistributedDataParallel does, cancels this factor.

    Args:
        local: (rows, ...), the same shape on every process.

    Returns:
        (world size * rows, ...).
    """
    if world_size() == 1:
        return local
    return cast(Tensor, _Gather.apply(local)) if local.is_floating_point() else _all_gather(local)


def total(local: Tensor) -> Tensor:
    """Sum a tensor over all processes, without gradients."""
    if world_size() == 1:
        return local
    summed = local.detach().clone()
    dist.all_reduce(summed)
    return summed


def broadcast_text(text: str, device: torch.device) -> str:
    """Broadcast the text of the first process; at most 4,096 bytes of UTF-8."""
    if world_size() == 1:
        return text
    buffer = torch.zeros(4096, dtype=torch.uint8, device=device)
    encoded = torch.tensor(list(text.encode()), dtype=torch.uint8)
    buffer[: len(encoded)] = encoded.to(device)
    dist.broadcast(buffer, src=0)
    return bytes(buffer.tolist()).rstrip(b"\0").decode()
