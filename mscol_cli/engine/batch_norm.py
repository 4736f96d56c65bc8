"""Synchronised batch normalisation; on a CPU, exact to rounding."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mscol_cli.errors import UsageError
from mscol_cli.system import distributed

LANE = 512
"""Approximate number of values per channel that are summed in the precision of the input."""
ROWS = 16
"""Rows summed together. If each process has a multiple of them, the same rows are summed together
for any number of processes, and the result is bit-identical. Otherwise a ReLU or a maximum after it
would sometimes switch sides."""

Sums = tuple[Tensor, Tensor]


class _Replacement(nn.modules.batchnorm._BatchNorm):
    """Replacement that shares the parameters, statistics and activation of a batch normalisation.

    timm's batch normalisation includes its activation, which has no parameters, so the names in a
    state dict do not change.
    """

    def __init__(self, other: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__(other.num_features, other.eps, other.momentum, device="meta")
        self.affine, self.track_running_stats = other.affine, other.track_running_stats
        self._parameters, self._buffers = other._parameters, other._buffers
        parts = (getattr(other, name, None) for name in ("drop", "act"))
        self.after = nn.Sequential(*(part for part in parts if isinstance(part, nn.Module)))
        self.train(other.training)

    def _check_input_dim(self, input: Tensor) -> None:
        return

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (batch, channels, ...) per channel."""
        return cast(Tensor, self.after(super().forward(input)))


class GlobalBatchNormOnGpu(_Replacement, nn.SyncBatchNorm):
    """torch's SyncBatchNorm, which does not support CPUs."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (batch, channels, ...) per channel."""
        if distributed.world_size() > 1:
            return super().forward(input)
        # SyncBatchNorm does not know `distributed.alone`.
        return cast(Tensor, self.after(nn.modules.batchnorm._BatchNorm.forward(self, input)))


class GlobalBatchNorm(_Replacement):
    """Batch normalisation on a CPU, for a batch in one process or split over several.

    Like SyncBatchNorm it communicates moments in the forward pass and two sums in the backward
    pass, with one collective each. It is used in a single process, too: torch's CPU kernel for
    channels-last images sums the values of a channel sequentially in the precision of the input.
    Over the 400,000 values of an early layer, the error of the mean is up to 0.002 standard
    deviations if many values are equal, as in silent positives. Sums over short lanes, accumulated
    in float64, reduce it to a millionth.
    """

    def __init__(self, other: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__(other)
        # The compiler cannot trace collectives. A single process has none, and to call `disable`
        # imports the compiler, which takes seconds.
        self._normalise = _normalise
        if distributed.world_size() > 1:
            self._normalise = torch.compiler.disable(_normalise)  # type: ignore[no-untyped-call]

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (batch, channels, ...) per channel."""
        # For one process, the compiler generates kernels with sums as exact as these.
        left_to_torch = torch.compiler.is_compiling() and distributed.world_size() == 1
        if not self.training or left_to_torch:
            return super().forward(input)
        exact, size = _exact_dtype(input), self.num_features
        weight = torch.ones(size, dtype=exact) if self.weight is None else self.weight
        bias = torch.zeros(size, dtype=exact) if self.bias is None else self.bias
        normalised, mean, variance = self._normalise(input, weight, bias, self.eps)
        self._track(mean, variance, _count(input) * distributed.world_size())
        return cast(Tensor, self.after(normalised))

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), weight)


def globalise_batch_norm(module: nn.Module, device: torch.device) -> nn.Module:
    """Replace every batch normalisation by a synchronised one; parameter names do not change.

    A subclass with a forward pass of its own, such as one that transposes, stays as it is.

    Raises:
        UsageError: There is such a subclass, and several processes.
    """
    kind = GlobalBatchNorm if device.type == "cpu" else GlobalBatchNormOnGpu
    for name, child in module.named_children():
        if not isinstance(child, nn.modules.batchnorm._BatchNorm):
            globalise_batch_norm(child, device)
        elif _is_known(child):
            setattr(module, name, kind(child))
        elif distributed.world_size() > 1:
            raise UsageError(
                f"{type(child).__name__} changes torch's batch normalisation, and cannot be"
                " synchronised between processes: train in one process."
            )
    return module


def _is_known(norm: nn.modules.batchnorm._BatchNorm) -> bool:
    """Whether its replacement computes the same."""
    kind = type(norm)
    own = nn.modules.batchnorm._BatchNorm.forward, nn.SyncBatchNorm.forward
    is_timms = kind.__module__.startswith("timm.")
    hooks = norm._forward_hooks, norm._forward_pre_hooks, norm._backward_hooks
    return (kind.forward in own or is_timms) and kind.train is nn.Module.train and not any(hooks)


def _normalise(
    input: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    return cast(tuple[Tensor, Tensor, Tensor], _Normalise.apply(input, weight, bias, eps))


class _Normalise(torch.autograd.Function):
    """Normalised (batch, channels, ...), with the mean and biased variance of each channel."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _global_moments(input)
        mean, variance = mean.to(weight.dtype), variance.to(weight.dtype)
        ctx.save_for_backward(input, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        normalised = F.batch_norm(input, mean, variance, weight, bias, training=False, eps=eps)
        return normalised, mean, variance

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor, *_moments: None
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        input, weight, mean, variance = ctx.saved_tensors
        if _has_channels_last(input):
            gradient = gradient.contiguous(memory_format=torch.channels_last)
        inverse = torch.rsqrt(variance + ctx.eps)
        local = _parameter_gradients(input, gradient, mean, inverse, ctx.eps)
        count = _count(input) * distributed.world_size()
        d_weight, d_bias = (distributed.total(torch.stack(local)) / count).to(weight.dtype)
        # (gradient - d_bias - d_weight * (input - mean) * inverse) * weight * inverse
        scale = weight * inverse
        exact, exact_gradient = input.to(weight.dtype), gradient.to(weight.dtype)
        d_input = F.batch_norm(
            exact, mean, variance, -scale * d_weight, -scale * d_bias, training=False, eps=ctx.eps
        ).addcmul_(exact_gradient, scale.view(-1, *[1] * (input.dim() - 2)))
        local_weight, local_bias = (sums.to(weight.dtype) for sums in local)
        return d_input.to(input.dtype), local_weight, local_bias, None


def _global_moments(input: Tensor) -> Sums:
    """Mean and biased variance of each channel of the global batch, (channels,) in float64.

    All processes have the same number of rows.
    """
    moments, counts = _part_moments(input)
    means, variances = distributed.gather(moments).unbind(1)
    processes = len(means) // len(counts)
    values = torch.tensor(counts * processes, dtype=torch.float64)
    shares = (values / values.sum())[:, None]
    mean = _ordered_sum(shares * means)
    return mean, _ordered_sum(shares * (variances + (means - mean).square()))


def _part_moments(input: Tensor) -> tuple[Tensor, list[int]]:
    """Moments (parts, 2, channels) of the local parts, and values per channel of each."""
    parts = torch.split(input, ROWS)
    moments = []
    for rows in parts:
        lanes = _lanes(rows)
        exact = _in_lanes(rows, lanes).to(_exact_dtype(rows))
        moments.append((lanes, torch.batch_norm_update_stats(exact, None, None, 0.0)))
    joined = []
    for lanes, group in groupby(moments, key=itemgetter(0)):
        means, variances = (
            torch.stack(each).double().view(-1, lanes, input.shape[1])
            for each in zip(*(pair for _, pair in group), strict=True)
        )
        mean = means.mean(1)
        variance = (variances + (means - mean[:, None]).square()).mean(1)
        joined.append(torch.stack([mean, variance], dim=1))
    return torch.cat(joined), [_count(rows) for rows in parts]


def _ordered_sum(parts: Tensor) -> Tensor:
    """Sum over parts, bit-identical for any order of the parts."""
    return parts.sort(dim=0).values.sum(0)


def _parameter_gradients(
    input: Tensor, gradient: Tensor, mean: Tensor, inverse: Tensor, eps: float
) -> Sums:
    """Gradients of weight and bias from the local rows, in float64."""
    backward, outputs = torch.ops.aten.native_batch_norm_backward, [False, True, True]
    sums, repeated = [], {}
    for rows, gradients in zip(torch.split(input, ROWS), torch.split(gradient, ROWS), strict=True):
        lanes = _lanes(rows)
        laid = (_in_lanes(gradients, lanes), _in_lanes(rows, lanes))
        if lanes not in repeated:
            repeated[lanes] = [each.repeat(lanes) for each in (mean, inverse)]
        moments = repeated[lanes]
        sums.append(backward(*laid, None, None, None, *moments, True, eps, outputs)[1:])
    d_weight, d_bias = (
        torch.cat(parts).view(-1, input.shape[1]).double().sum(0)
        for parts in zip(*sums, strict=True)
    )
    return d_weight, d_bias


def _lanes(rows: Tensor) -> int:
    """Number of lanes into which the values of each channel are split; 1 unless channels-last."""
    count, lanes = _count(rows), 1
    if _has_channels_last(rows):
        while count > LANE * lanes and count % (2 * lanes) == 0:
            lanes *= 2
    return lanes


def _in_lanes(rows: Tensor, lanes: int) -> Tensor:
    """View with `lanes` times as many channels and correspondingly fewer pixels, so that torch's
    kernel for channels-last images sums each lane separately."""
    if lanes == 1:
        return rows
    cells = rows.permute(0, 2, 3, 1).reshape(1, -1, 1, lanes * rows.shape[1])
    return cells.permute(0, 3, 1, 2)


def _has_channels_last(input: Tensor) -> bool:
    last = input.dim() == 4 and input.is_contiguous(memory_format=torch.channels_last)
    return last and not input.is_contiguous()


def _count(input: Tensor) -> int:
    return input.numel() // input.shape[1]


def _exact_dtype(input: Tensor) -> torch.dtype:
    return torch.promote_types(input.dtype, torch.float32)
