"""Batch normalisation with the statistics of the global batch; on a CPU, exact to rounding."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mscol_cli.system import distributed

LANE = 512
"""Values of a channel, about, that are added up one by one in the precision of the input."""
ROWS = 16
"""Rows that are added up apart from others. Where each process has a multiple of them the same ones
are added up together however many processes there are, and what comes out is the same to the bit:
what comes after, a ReLU or a maximum, would else fall to the other side now and then."""

Sums = tuple[Tensor, Tensor]


class _InPlaceOf(nn.modules.batchnorm._BatchNorm):
    """Takes over another's parameters, statistics, and whatever it applies afterwards.

    timm's batch normalisation carries its activation; that part has no parameters, so names in a
    state dict stay as they were.
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


class GlobalBatchNormOnGpu(_InPlaceOf, nn.SyncBatchNorm):
    """torch's own, which refuses CPUs."""


class GlobalBatchNorm(_InPlaceOf):
    """Batch normalisation, on a CPU, of a batch in one process or shared out among many.

    As SyncBatchNorm it sends moments forwards and two sums backwards, one collective each.
    It is used in a lone process as well: torch's kernel for channels-last images on a CPU adds up a
    channel's values one after the other in the precision of its input. Over the 400,000 values of
    an early layer the mean is off by up to two thousandths of their standard deviation where many
    are alike, as silent positives are; sums of short lanes, added up in float64, leave a millionth.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (batch, channels, ...) per channel."""
        # A compiler makes its own kernels for one process, with sums as exact as these.
        left_to_torch = torch.compiler.is_compiling() and distributed.world_size() == 1
        if not self.training or left_to_torch:
            return super().forward(input)
        plain = torch.ones(self.num_features, dtype=_exact_dtype(input))
        weight = plain if self.weight is None else self.weight
        bias = plain - plain if self.bias is None else self.bias
        normalised, mean, variance = _normalise(input, weight, bias, self.eps)
        self._track(mean, variance, _count(input) * distributed.world_size())
        return cast(Tensor, self.after(normalised))

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        kept = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, kept)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), kept)


def globalise_batch_norm(module: nn.Module, device: torch.device) -> nn.Module:
    """Replace every batch normalisation inside by that of the global batch; names stay."""
    kind = GlobalBatchNorm if device.type == "cpu" else GlobalBatchNormOnGpu
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(module, name, kind(child))
        else:
            globalise_batch_norm(child, device)
    return module


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _normalise(
    input: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    return cast(tuple[Tensor, Tensor, Tensor], _Normalise.apply(input, weight, bias, eps))


class _Normalise(torch.autograd.Function):
    """(batch, channels, ...) normalised, and the mean and biased variance it was normalised by."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _global_moments(input)
        mean, variance = mean.to(weight.dtype), variance.to(weight.dtype)
        ctx.save_for_backward(input, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        normalised = F.batch_norm(input, mean, variance, weight, bias, training=False, eps=eps)
        return normalised, mean, variance

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor, *_moments: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        input, weight, mean, variance = ctx.saved_tensors
        if _has_channels_last(input):
            gradient = gradient.contiguous(memory_format=torch.channels_last)
        inverse = torch.rsqrt(variance + ctx.eps)
        own = _parameter_gradients(input, gradient, weight, mean, inverse, ctx.eps)
        count = _count(input) * distributed.world_size()
        of_weight, of_bias = (distributed.total(torch.stack(own)) / count).to(weight.dtype)
        # (gradient - of_bias - of_weight * (input - mean) * inverse) * weight * inverse
        scale = weight * inverse
        exact, exact_gradient = input.to(weight.dtype), gradient.to(weight.dtype)
        of_input = F.batch_norm(
            exact, mean, variance, -scale * of_weight, -scale * of_bias, training=False, eps=ctx.eps
        ).addcmul_(exact_gradient, scale.view(-1, *[1] * (input.dim() - 2)))
        own_weight, own_bias = (sums.to(weight.dtype) for sums in own)
        return of_input.to(input.dtype), own_weight, own_bias, None


def _global_moments(input: Tensor) -> Sums:
    """Mean and biased variance of each channel of the global batch, in float64.

    Every process has as many rows.
    """
    moments, counts = _part_moments(input)
    means, variances = distributed.gather(moments).unbind(1)
    everywhere = counts.repeat(len(means) // len(counts))
    shares = (everywhere / everywhere.sum())[:, None]
    mean = _ordered_sum(shares * means)
    return mean, _ordered_sum(shares * (variances + (means - mean).square()))


def _part_moments(input: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of this process's parts (parts, 2, channels); how much each has of one."""
    found = []
    for rows in _parts(input):
        lanes = _lanes(rows)
        exact = _in_lanes(rows, lanes).to(_exact_dtype(rows))
        found.append((lanes, torch.batch_norm_update_stats(exact, None, None, 0.0)))
    joined = []
    for lanes, group in groupby(found, key=itemgetter(0)):
        means, variances = (
            torch.stack(each).double().view(-1, lanes, input.shape[1])
            for each in zip(*(moments for _, moments in group), strict=True)
        )
        mean = means.mean(1)
        variance = (variances + (means - mean[:, None]).square()).mean(1)
        joined.append(torch.stack([mean, variance], dim=1))
    counts = torch.tensor([_count(rows) for rows in _parts(input)], dtype=torch.float64)
    return torch.cat(joined), counts


def _ordered_sum(parts: Tensor) -> Tensor:
    """The sum over parts, the same to the bit however they are ordered."""
    return parts.sort(dim=0).values.sum(0)


def _parameter_gradients(
    input: Tensor, gradient: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor, eps: float
) -> Sums:
    """Gradients of weight and bias from this process's rows, in float64."""
    backward, wanted = torch.ops.aten.native_batch_norm_backward, [False, True, True]
    found, repeated = [], {}
    for rows, gradients in zip(_parts(input), _parts(gradient), strict=True):
        lanes = _lanes(rows)
        laid = (_in_lanes(gradients, lanes), _in_lanes(rows, lanes))
        if lanes not in repeated:
            repeated[lanes] = [each.repeat(lanes) for each in (weight, mean, inverse)]
        of_each, *moments = repeated[lanes]
        found.append(backward(*laid, of_each, None, None, *moments, True, eps, wanted)[1:])
    of_weight, of_bias = (
        torch.cat(sums).view(-1, input.shape[1]).double().sum(0)
        for sums in zip(*found, strict=True)
    )
    return of_weight, of_bias


def _parts(tensor: Tensor) -> tuple[Tensor, ...]:
    return torch.split(tensor, ROWS)


def _lanes(rows: Tensor) -> int:
    """In how many lanes the values of each channel are laid: one, unless channels are last."""
    count, lanes = _count(rows), 1
    if _has_channels_last(rows):
        while count > LANE * lanes and count % (2 * lanes) == 0:
            lanes *= 2
    return lanes


def _in_lanes(rows: Tensor, lanes: int) -> Tensor:
    """The same memory as an image of `lanes` times as many channels, and as many times fewer cells;
    torch's kernel for channels-last images then adds up each lane on its own."""
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
