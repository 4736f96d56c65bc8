"""Depthwise convolutions of kernel 5 that train faster on a CPU."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL, TILE = 5, 3
"""Kernel size, and the columns of a weight gradient that are computed at a time."""


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of (batch, channels, height, width); on a CPU, depthwise ones of kernel 5 have
    a faster backward pass.

    oneDNN has a fast kernel for the weight gradient of channels-last images only where the kernel
    is three columns wide. Otherwise it takes up to 80 times as long as the forward pass, in bf16
    150 times.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self._is_slow(input):
            return cast(Tensor, super()._conv_forward(input, weight, bias))
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            input, weight = input.to(kind), weight.to(kind)
        stride, padding = self.stride[0], cast(int, self.padding[0])
        output = cast(Tensor, _Depthwise.apply(input, weight, stride, padding))
        return output if bias is None else output + bias.to(output.dtype)[:, None, None]

    def _is_slow(self, input: Tensor) -> bool:
        """Whether torch's own backward pass would be slow."""
        return (
            input.device.type == "cpu"
            and torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
            and self.groups == self.in_channels == self.out_channels
            and self.kernel_size == (KERNEL, KERNEL)
            and self.dilation == (1, 1)
            and isinstance(self.padding, tuple)
            and self.padding_mode == "zeros"
        )


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution without bias, of the same stride and padding on both axes."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(input, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        input, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        d_input = _backward(gradient, input, weight, ctx.stride, ctx.padding, of_input=True)
        columns = torch.empty_like(weight)
        for first in (0, KERNEL - TILE):
            part = _tile(input, gradient, first, ctx.stride, ctx.padding)
            tile = weight[..., first : first + TILE]
            columns[..., first : first + TILE] = _backward(
                gradient, part, tile, ctx.stride, 0, of_input=False
            )
        return d_input, columns, None, None


def _tile(input: Tensor, gradient: Tensor, first: int, stride: int, padding: int) -> Tensor:
    """The padded input that columns `first` to `first + TILE - 1` of the kernel see."""
    height, width = ((size - 1) * stride for size in gradient.shape[2:])
    left, right = padding - first, width + TILE - padding + first - input.shape[3]
    bottom = height + KERNEL - padding - input.shape[2]
    part = F.pad(input, (left, right, padding, bottom))
    return part.contiguous(memory_format=torch.channels_last)


def _backward(
    gradient: Tensor, input: Tensor, weight: Tensor, stride: int, padding: int, *, of_input: bool
) -> Tensor:
    """Gradient of the input of a depthwise convolution, or of its weight."""
    strides, paddings = [stride, stride], [padding, padding]
    gradients = torch.ops.aten.convolution_backward(
        gradient,
        input,
        weight,
        None,
        strides,
        paddings,
        [1, 1],
        False,
        [0, 0],
        len(weight),
        [of_input, not of_input, False],
    )
    return cast(Tensor, gradients[0 if of_input else 1])
