"""One process or many: who am I, and the few collectives that training needs.

Every function works without a process group too, and is then the identity of one process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor


def is_running() -> bool:
    """Whether a process group exists."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Number of this process, 0 for the first or only one."""
    return dist.get_rank() if is_running() else 0


def world_size() -> int:
    """How many processes work together."""
    return dist.get_world_size() if is_running() else 1


def lost_another(error: BaseException) -> bool:
    """Whether an error tells that another process of the group is gone, or cannot be reached."""
    # NCCL and the key-value store raise DistError. For a peer that is gone, gloo raises a plain
    # RuntimeError, as any operator of torch does (tried with torch 2.14): only its text, which
    # begins with the file of gloo that raised it, tells the two apart.
    of_gloo = isinstance(error, RuntimeError) and "/gloo/" in str(error)
    return is_running() and (isinstance(error, dist.DistError) or of_gloo)


def wait_for_all() -> None:
    """Return once every process has come here."""
    if world_size() > 1:
        dist.barrier()


def share(rows: int) -> slice:
    """The rows of a global batch that this process works on; all get the same number."""
    size = rows // world_size()
    return slice(rank() * size, (rank() + 1) * size)


class _Gather(torch.autograd.Function):
    """All processes' rows; the gradient of each row is the sum over all processes."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, local: Tensor) -> Tensor:  # noqa: ARG004
        return _all_gather(local)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return _reduce_scatter(gradients[0])


def _all_gather(local: Tensor) -> Tensor:
    everyone = local.new_empty((world_size() * len(local), *local.shape[1:]))
    _collective("all_gather_single", "all_gather_into_tensor")(everyone, local.contiguous())
    return everyone


def _reduce_scatter(everyone: Tensor) -> Tensor:
    """This process's rows of the sum over all processes: half of what an all-reduce sends, except
    that gloo makes it of one."""
    mine = everyone.new_empty((len(everyone) // world_size(), *everyone.shape[1:]))
    _collective("reduce_scatter_single", "reduce_scatter_tensor")(mine, everyone.contiguous())
    return mine


def _collective(name: str, before: str) -> Callable[[Tensor, Tensor], object]:
    # Renamed: 2.11 lacks the new names, and later versions warn of the old.
    found = getattr(dist, name, None) or getattr(dist, before)
    return cast(Callable[[Tensor, Tensor], object], found)


def gather(local: Tensor) -> Tensor:
    """Concatenate every process's rows, in rank order, keeping gradients.

    When each process computes the same loss from the gathered rows, the gradient that reaches
    `local` is world size times the one of a single process; averaging parameter gradients over
    processes, as DistributedDataParallel does, takes that factor out again.

    Args:
        local: (rows, ...), the same shape on every process.

    Returns:
        (world size * rows, ...).
    """
    if world_size() == 1:
        return local
    return cast(Tensor, _Gather.apply(local)) if local.is_floating_point() else _all_gather(local)


def total(local: Tensor) -> Tensor:
    """The sum over all processes, on every process; gradients are not kept."""
    if world_size() == 1:
        return local
    summed = local.detach().clone()
    dist.all_reduce(summed)
    return summed


def broadcast_text(text: str, device: torch.device) -> str:
    """The first process's text, on every process; at most 4,096 bytes of UTF-8."""
    if world_size() == 1:
        return text
    buffer = torch.zeros(4096, dtype=torch.uint8, device=device)
    encoded = torch.tensor(list(text.encode()), dtype=torch.uint8)
    buffer[: len(encoded)] = encoded.to(device)
    dist.broadcast(buffer, src=0)
    return bytes(buffer.tolist()).rstrip(b"\0").decode()
