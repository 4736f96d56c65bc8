"""EfficientNet-B0 as Keras has it: padding, scaling, normalisation, start, stochastic depth."""

from __future__ import annotations

import math

import pytest
import torch
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import nn
from torch.nn import functional as F

from mscol_encoders.efficientnet import EfficientNetB0, KerasStridedConv2d, _SqueezeExcite
from mscol_encoders.options import EfficientNetOptions


@pytest.fixture(scope="module")
def encoder() -> EfficientNetB0:
    torch.manual_seed(0)
    return EfficientNetB0(EfficientNetOptions())


def convolutions(encoder: EfficientNetB0) -> list[nn.Conv2d]:
    return [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("height", [7, 8])
def test_strided_convolutions_pad_one_more_after_than_before(kernel: int, height: int) -> None:
    conv = KerasStridedConv2d(2, 3, kernel, stride=2, bias=False)
    x = torch.randn(1, 2, height, 6)
    before, after = {3: (0, 1), 5: (1, 2)}[kernel]
    padded = F.pad(x, (before, after, before, after))
    torch.testing.assert_close(conv(x), F.conv2d(padded, conv.weight, stride=2))
    other_way = F.conv2d(F.pad(x, (after, before, after, before)), conv.weight, stride=2)
    assert other_way.shape != conv(x).shape or not torch.allclose(other_way, conv(x))


def test_every_strided_convolution_pads_that_way(encoder: EfficientNetB0) -> None:
    strided = [conv for conv in convolutions(encoder) if conv.stride != (1, 1)]
    assert [type(conv) for conv in strided] == [KerasStridedConv2d] * 5
    assert sorted(conv.kernel_size[0] for conv in strided) == [3, 3, 3, 5, 5]


def test_every_squeeze_and_excitation_computes_what_that_of_timm_does(
    encoder: EfficientNetB0,
) -> None:
    ours = [module for module in encoder.modules() if isinstance(module, _SqueezeExcite)]
    assert len(ours) == 16
    theirs = SqueezeExcite(32, rd_channels=8, act_layer=nn.SiLU)
    theirs.load_state_dict(ours[0].state_dict())
    x = torch.randn(2, 32, 5, 3)
    results = []
    for module in (ours[0], theirs):
        leaf = x.clone().requires_grad_()
        output = module(leaf)
        output.square().sum().backward()
        results.append((output, leaf.grad))
    torch.testing.assert_close(results[0], results[1])


def test_a_crop_shrinks_as_in_keras(encoder: EfficientNetB0) -> None:
    # 98 -> 49 -> 24 -> 12 -> 6 -> 3: padding that adapts to odd sizes would end at 4.
    assert encoder.network.forward_features(torch.zeros(1, 1, 98, 64)).shape == (1, 1280, 3, 2)


def test_the_input_is_scaled_inside(encoder: EfficientNetB0) -> None:
    encoder.eval()
    features = torch.randn(2, 98, 64)
    with torch.inference_mode():
        by_hand = encoder.network((features / 255)[:, None]).flatten(2).max(dim=2).values
        torch.testing.assert_close(encoder(features), by_hand)


def test_equal_cells_share_the_gradient_of_their_maximum(encoder: EfficientNetB0) -> None:
    cells = torch.ones(1, 1280, 3, 2, requires_grad=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder.network, "forward", lambda _pictures: cells)
        encoder(torch.zeros(1, 98, 64)).sum().backward()
    torch.testing.assert_close(cells.grad, torch.full_like(cells, 1 / 6))


def test_batch_normalisation_is_keras(encoder: EfficientNetB0) -> None:
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 49
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_weights_start_as_in_keras(encoder: EfficientNetB0) -> None:
    for conv in convolutions(encoder):
        fan_out = conv.kernel_size[0] ** 2 * conv.out_channels / conv.groups
        std = math.sqrt(2 / fan_out)
        assert conv.weight.abs().max() <= 2.001 * std / 0.8796
        assert conv.weight.detach().std().item() == pytest.approx(
            std, rel=4 / conv.weight.numel() ** 0.5
        )
        assert conv.bias is None or not conv.bias.any()


def test_stochastic_depth_grows_along_the_blocks() -> None:
    encoder = EfficientNetB0(EfficientNetOptions(drop_path=0.4))
    blocks = [block for stage in encoder.network.blocks for block in stage]
    drops = [getattr(block.drop_path, "drop_prob", 0.0) for block in blocks]
    assert drops == pytest.approx([0.4 * block / 16 for block in range(16)])


@pytest.mark.slow
def test_stochastic_depth_can_be_off() -> None:
    encoder = EfficientNetB0(EfficientNetOptions(drop_path=0.0)).train()
    features = torch.randn(2, 98, 64)
    torch.testing.assert_close(encoder(features), encoder(features))


def test_pooling_takes_the_maximum(encoder: EfficientNetB0) -> None:
    encoder.eval()
    features = torch.randn(2, 98, 64)
    with torch.inference_mode():
        last = encoder.network.forward_features(features[:, None] / 255)
        torch.testing.assert_close(encoder(features), last.amax(dim=(2, 3)))


def test_there_are_as_many_parameters_as_published(encoder: EfficientNetB0) -> None:
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    running = sum(
        module.running_mean.numel() + module.running_var.numel()
        for module in encoder.modules()
        if isinstance(module, nn.BatchNorm2d)
        and module.running_mean is not None
        and module.running_var is not None
    )
    keras_input_normalisation = 3
    assert weights + running + keras_input_normalisation == 4_048_991
