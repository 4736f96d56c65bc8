"""The published encoder: Keras' EfficientNet-B0, based on timm's."""

from __future__ import annotations

import timm
import torch
import torch.nn.functional as F
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import Tensor, nn

from mscol_encoders.depthwise import DepthwiseConv2d
from mscol_encoders.logmel import LogMelEncoder, as_image, channels_last
from mscol_encoders.options import EfficientNetOptions

INPUT_SCALE = 1 / 255
TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a unit normal truncated at 2."""


class EfficientNetB0(LogMelEncoder):
    """EfficientNet-B0 (arXiv 1905.11946), one input channel, global max pooling, 1280 dimensions.

    It follows Keras where Keras differs from the defaults of timm or torch:

    - the input is divided by 255 inside the network, although it is a log-mel and not an image;
    - convolutions of stride 2 and kernel k pad k//2 - 1 cells before and k//2 after, on both axes,
      for inputs of all sizes;
    - batch normalisation has epsilon 1e-3 and keeps 0.99 of its running statistics (torch's
      momentum 0.01);
    - convolutions are initialised from a normal distribution truncated at two standard deviations,
      of variance 2 / fan-out after truncation; the fan-out of a depthwise convolution is that of
      one channel; biases are 0;
    - cells that share the maximum of a channel share its gradient;
    - stochastic depth skips block i, from 0 to 15, with probability `drop_path` * i / 16.
    """

    dim = 1280

    def __init__(self, options: EfficientNetOptions) -> None:
        super().__init__(options)
        self.network = timm.create_model(
            "tf_efficientnet_b0",
            in_chans=1,
            num_classes=0,
            global_pool="",
            drop_path_rate=options.drop_path,
            bn_eps=1e-3,
            bn_momentum=0.01,
        )
        _pad_as_keras(self.network)
        _speed_up(self.network)
        _initialise_as_keras(self.network)

    def forward(self, features: Tensor) -> Tensor:
        """Log-mel (batch, frames, 64) to embeddings (batch, 1280)."""
        cells: Tensor = self.network(as_image(features * INPUT_SCALE))
        return cells.amax(dim=(2, 3))


class KerasStridedConv2d(DepthwiseConv2d):
    """A convolution of stride 2 on (batch, channels, height, width), padded as in Keras'
    EfficientNet for inputs of unknown size."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad height and width by k//2 - 1 before and k//2 after, then convolve."""
        before, after = self.kernel_size[0] // 2 - 1, self.kernel_size[0] // 2
        # The compiler cannot trace the question, and would cut the network here.
        if not torch.compiler.is_compiling() and torch.is_inference_mode_enabled():
            # Padding the kernel instead of the image gives the same values, and copies less.
            kernel = F.pad(self.weight, (1, 0, 1, 0))
            strided = F.conv2d(x, kernel, self.bias, self.stride, after, groups=self.groups)
            return channels_last(strided)
        return channels_last(super().forward(F.pad(x, (before, after, before, after))))


class _SqueezeExcite(nn.Module):
    """timm's squeeze-and-excitation, with the same results, but faster to train on a CPU.

    The gradient of `mean` would be a complete image, and not with channels last.
    """

    conv_reduce: nn.Conv2d
    conv_expand: nn.Conv2d
    act1: nn.Module
    gate: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of images (batch, channels, height, width)."""
        means = x.sum((2, 3)) / x.shape[2:].numel()
        hidden = self.act1(_linear(self.conv_reduce, means))
        gates: Tensor = self.gate(_linear(self.conv_expand, hidden))
        return x * gates[..., None, None]


def _linear(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of kernel 1 on images of a single pixel, (batch, channels)."""
    return F.linear(x, conv.weight.flatten(1), conv.bias)


def _speed_up(network: nn.Module) -> None:
    for module in network.modules():
        if type(module) is SqueezeExcite:
            module.__class__ = _SqueezeExcite
        elif isinstance(module, nn.SiLU):
            # Autograd copies an input that is overwritten.
            module.inplace = False


def _pad_as_keras(network: nn.Module) -> None:
    for name, child in network.named_children():
        if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
            setattr(network, name, _strided(child))
        elif type(child) is nn.Conv2d and child.groups > 1:
            child.__class__ = DepthwiseConv2d
        else:
            _pad_as_keras(child)


def _strided(conv: nn.Conv2d) -> KerasStridedConv2d:
    return KerasStridedConv2d(
        conv.in_channels,
        conv.out_channels,
        kernel_size=conv.kernel_size[0],
        stride=2,
        groups=conv.groups,
        bias=conv.bias is not None,
    )


def _initialise_as_keras(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            std = (2 / fan_out) ** 0.5 / TRUNCATED_STD
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
