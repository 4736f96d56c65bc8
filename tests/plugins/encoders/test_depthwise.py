"""Depthwise convolutions of kernel 5: torch's values and gradients, by a faster backward pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mscol_encoders.depthwise import DepthwiseConv2d, _Depthwise
from mscol_encoders.efficientnet import EfficientNetB0
from mscol_encoders.options import EfficientNetOptions

CASES = [
    ((3, 4, 3, 2), 1, 2),
    ((2, 5, 6, 4), 1, 2),
    ((2, 3, 12, 8), 1, 2),
    ((2, 3, 9, 7), 2, 0),
    ((2, 3, 12, 9), 2, 1),
]
"""Shape, stride and padding; with the last stride, the last column is not read."""


def results(
    kind: type[nn.Conv2d], shape: tuple[int, ...], stride: int, padding: int
) -> list[Tensor]:
    torch.manual_seed(0)
    channels = shape[1]
    conv = kind(channels, channels, 5, stride, padding, groups=channels).double()
    images = torch.randn(shape, dtype=torch.float64)
    images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
    output = conv(images)
    output.pow(2).sum().backward()
    gradients = (tensor.grad for tensor in (images, *conv.parameters()))
    return [output, *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize(("shape", "stride", "padding"), CASES)
def test_values_and_gradients_are_those_of_torch(
    shape: tuple[int, ...], stride: int, padding: int
) -> None:
    theirs = results(nn.Conv2d, shape, stride, padding)
    ours = results(DepthwiseConv2d, shape, stride, padding)
    assert type(ours[0].grad_fn) is not type(theirs[0].grad_fn)
    for expected, value in zip(theirs, ours, strict=True):
        torch.testing.assert_close(value, expected)


def test_under_autocast_it_computes_in_bf16() -> None:
    conv = DepthwiseConv2d(4, 4, 5, padding=2, groups=4)
    images = torch.randn(2, 4, 6, 4).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = conv(images)
    (gradient,) = torch.autograd.grad(output.float().pow(2).sum(), conv.weight)
    (exact,) = torch.autograd.grad(conv(images).pow(2).sum(), conv.weight)
    assert output.dtype is torch.bfloat16
    assert conv.weight.dtype is gradient.dtype is torch.float32
    torch.testing.assert_close(gradient, exact, rtol=0, atol=0.03 * float(exact.abs().max()))


def test_efficientnet_has_them_where_torch_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def record(input: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        shapes.append(tuple(weight.shape))
        return nn.functional.conv2d(input, weight, None, stride, padding, groups=len(weight))

    monkeypatch.setattr(_Depthwise, "apply", record)
    encoder = EfficientNetB0(EfficientNetOptions(drop_path=0.0))
    encoder(torch.zeros(2, 98, 64))
    assert len(shapes) == 9
    assert {shape[2:] for shape in shapes} == {(5, 5)}
    shapes.clear()
    with torch.no_grad():
        encoder(torch.zeros(2, 98, 64))
    assert not shapes
