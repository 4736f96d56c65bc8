"""One process or many: who am I, and the two collectives that training needs.

Every function works without a process group too, and is then the identity of one process.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn


def is_running() -> bool:
    """Whether a process group exists."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Number of this process, 0 for the first or only one."""
    return dist.get_rank() if is_running() else 0


def world_size() -> int:
    """How many processes work together."""
    return dist.get_world_size() if is_running() else 1


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
        rows = [torch.empty_like(local) for _ in range(world_size())]
        dist.all_gather(rows, local.contiguous())
        return torch.cat(rows)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total[share(len(total))]


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
    if local.is_floating_point():
        return cast(Tensor, _Gather.apply(local))
    rows = [torch.empty_like(local) for _ in range(world_size())]
    dist.all_gather(rows, local.contiguous())
    return torch.cat(rows)


def broadcast_text(text: str, device: torch.device) -> str:
    """The first process's text, on every process; at most 4,096 bytes of UTF-8."""
    if world_size() == 1:
        return text
    buffer = torch.zeros(4096, dtype=torch.uint8, device=device)
    encoded = torch.tensor(list(text.encode()), dtype=torch.uint8)
    buffer[: len(encoded)] = encoded.to(device)
    dist.broadcast(buffer, src=0)
    return bytes(buffer.tolist()).rstrip(b"\0").decode()


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation with the statistics of the global batch, on any backend.

    torch's SyncBatchNorm does the same but refuses CPU tensors; without it a run over CPU
    processes would be another computation than the same run in one process.
    """

    def __init__(self, other: nn.modules.batchnorm._BatchNorm) -> None:
        """Take over another's parameters, statistics, and whatever it applies afterwards.

        timm's batch normalisation carries its activation; that part has no parameters, so names
        in a state dict stay as they were.
        """
        super().__init__(other.num_features, other.eps, other.momentum, device="meta")
        self._parameters, self._buffers = other._parameters, other._buffers
        parts = (getattr(other, name, None) for name in ("drop", "act"))
        self.after = nn.Sequential(*(part for part in parts if isinstance(part, nn.Module)))
        self.train(other.training)

    def _check_input_dim(self, input: Tensor) -> None:
        return

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (batch, channels, ...) per channel."""
        if not self.training or world_size() == 1:
            return cast(Tensor, self.after(super().forward(input)))
        axes = [0, *range(2, input.dim())]
        shape = [1, -1] + [1] * (input.dim() - 2)
        count = input.numel() // input.shape[1] * world_size()
        exact = input.to(torch.promote_types(input.dtype, torch.float32))
        own_variance, own_mean = torch.var_mean(exact, axes, correction=0)
        # Moments of equal shares make the global ones: one collective, where sums would take two.
        means, variances = gather(torch.stack([own_mean, own_variance])[None]).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        self._track(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        normalised = (exact - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return cast(Tensor, self.after(normalised.to(input.dtype)))

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
