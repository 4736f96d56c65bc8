"""Copies of encoders that are faster on a CPU: batch normalisation is folded into convolutions."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import pairwise
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.utils import _single

from mscol_cli.contracts.encoder import Encoder

TOLERANCE = 1e-5
"""Largest difference of a copy from its encoder, relative to the largest output."""
TEST_WINDOWS = 2

_copies: WeakKeyDictionary[Encoder, tuple[Tensor, Encoder | None]] = WeakKeyDictionary()
"""Weights and copy of each encoder; None if it has none, as a reference to itself would keep it."""


def folded(encoder: Encoder) -> Encoder:
    """The folded copy of an encoder, made once for its weights.

    Args:
        encoder: The encoder, on the CPU and in eval mode.
    """
    weights = _fingerprint(encoder)
    known = _copies.get(encoder)
    if known is None or not torch.equal(known[0], weights):
        faster = fold_batch_norm(encoder)
        known = _copies[encoder] = (weights, None if faster is encoder else faster)
    return known[1] or encoder


def fold_batch_norm(encoder: Encoder) -> Encoder:
    """Copy an encoder on a CPU for inference; its vectors differ by rounding.

    Convolutions take over the scale and shift of the batch normalisation that follows them, and
    activations overwrite their input. Which normalisation follows a convolution is read from the
    order in which modules register their parts, so the copy is compared with the encoder on noise.

    Args:
        encoder: The encoder, in eval mode.

    Returns:
        The copy, or `encoder` itself if nothing can be folded, or if the copy fails or differs.
    """
    shared = {id(tensor): tensor for tensor in (*encoder.parameters(), *encoder.buffers())}
    try:
        faster: Encoder = copy.deepcopy(encoder, shared)
    # An encoder may hold what cannot be copied, such as a lock or weights that are computed.
    except Exception:
        return encoder
    if not sum([_fold_parts(module) for module in [*faster.modules()]]):
        return encoder
    for module in [*faster.modules()]:
        _replace_convolutions(module)
    return faster.eval() if _agrees(faster, encoder) else encoder


def _fingerprint(encoder: Encoder) -> Tensor:
    """Sums of the weights and statistics, which change with them: (tensors,)."""
    with torch.no_grad():
        tensors = (*encoder.parameters(), *encoder.buffers())
        return torch.stack([torch.zeros(()), *(tensor.float().sum() for tensor in tensors)])


def _fold_parts(module: nn.Module) -> int:
    """Fold the normalisations among the parts of a module; returns their number."""
    count, parts = 0, [*module.named_children()]
    for (_, conv), (name, norm) in pairwise(parts):
        if isinstance(conv, _ConvNd) and isinstance(norm, _BatchNorm) and _fits(conv, norm):
            _fold(conv, norm)
            setattr(module, name, _after(norm))
            count += 1
    if count:
        _overwrite_input(module.children())
    return count


def _fits(conv: _ConvNd, norm: _BatchNorm) -> bool:
    has_statistics = norm.running_mean is not None and norm.running_var is not None
    return not conv.transposed and has_statistics and norm.num_features == conv.out_channels


def _fold(conv: _ConvNd, norm: _BatchNorm) -> None:
    """Let a convolution compute what it and its normalisation do."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale, shift = torch.rsqrt(variance.double() + norm.eps), -mean.double()
    if conv.bias is not None:
        shift = shift + conv.bias.double()
    if norm.affine:
        scale = scale * norm.weight.double()
    shift = shift * scale + (norm.bias.double() if norm.affine else 0.0)
    weight = conv.weight.double() * scale.view(-1, *[1] * (conv.weight.dim() - 1))
    kind = conv.weight.dtype
    conv.weight = nn.Parameter(weight.detach().to(kind), requires_grad=False)
    conv.bias = nn.Parameter(shift.detach().to(kind), requires_grad=False)


def _after(norm: _BatchNorm) -> nn.Module:
    """What a normalisation does after normalising: timm's includes its activation."""
    parts = [getattr(norm, name, None) for name in ("drop", "act", "after")]
    after = [part for part in parts if isinstance(part, nn.Module)]
    _overwrite_input(after)
    return nn.Sequential(*after)


def _overwrite_input(parts: Iterable[nn.Module]) -> None:
    """Let activations overwrite their input, which saves memory traffic."""
    for part in parts:
        if isinstance(part, nn.ReLU | nn.SiLU):
            part.inplace = True


def _replace_convolutions(module: nn.Module) -> None:
    """Replace convolutions that are faster as matrix products or in another layout."""
    for name, part in module.named_children():
        if type(part) is nn.Conv2d and _is_pointwise(part):
            setattr(module, name, _PointwiseConv2d(part))
        elif type(part) is nn.Conv1d and _cuts_patches(part):
            setattr(module, name, _PatchConv1d(part))
        elif type(part) is nn.Conv1d and _is_plain(part):
            setattr(module, name, _ChannelsLastConv1d(part))
        elif type(part) is nn.MaxPool1d and not part.return_indices:
            setattr(module, name, _ChannelsLastMaxPool1d(part))


def _is_pointwise(conv: nn.Conv2d) -> bool:
    ones = (1, 1)
    return conv.kernel_size == conv.stride == ones and conv.padding == (0, 0) and conv.groups == 1


def _cuts_patches(conv: nn.Conv1d) -> bool:
    has_gaps = conv.padding != (0,) or conv.dilation != (1,)
    return conv.in_channels == 1 and conv.kernel_size == conv.stride and not has_gaps


def _is_plain(conv: nn.Conv1d) -> bool:
    return conv.groups == 1 and conv.padding_mode == "zeros" and isinstance(conv.padding, tuple)


class _PointwiseConv2d(nn.Module):
    """A convolution of kernel 1; the images of squeeze-and-excitation have a single pixel."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width)."""
        if x.shape[2:].numel() == 1:
            return F.linear(x.flatten(1), self.weight.flatten(1), self.bias)[..., None, None]
        return F.conv2d(x, self.weight, self.bias)


class _PatchConv1d(nn.Module):
    """A convolution of one channel whose stride is its kernel size, as one of kernel 1 over the
    samples of a patch: torch's own reorders its large output."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.size, self.bias = conv.kernel_size[0], conv.bias
        self.weight = nn.Parameter(conv.weight.transpose(1, 2).contiguous(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Waveforms (batch, 1, samples)."""
        patches = x[:, 0].unfold(1, self.size, self.size).transpose(1, 2).contiguous()
        return F.conv1d(patches, self.weight, self.bias)


class _ChannelsLastConv1d(nn.Module):
    """A one-dimensional convolution of images of height 1, in the layout of channels-last."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        weight = conv.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.weight, self.bias = nn.Parameter(weight, requires_grad=False), conv.bias
        assert isinstance(conv.padding, tuple)
        self.stride, self.padding = (1, *conv.stride), (0, *conv.padding)
        self.dilation = (1, *conv.dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Signals (batch, channels, length)."""
        images = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        sizes = (self.stride, self.padding, self.dilation)
        return F.conv2d(images, self.weight, self.bias, *sizes).squeeze(2)


class _ChannelsLastMaxPool1d(nn.Module):
    """Max-pooling that keeps the layout of channels-last, which torch's own does not."""

    def __init__(self, pool: nn.MaxPool1d) -> None:
        super().__init__()
        (kernel,), (stride,) = _single(pool.kernel_size), _single(pool.stride)
        (padding,), (dilation,) = _single(pool.padding), _single(pool.dilation)
        self.pool = nn.MaxPool2d(
            (1, kernel), (1, stride), (0, padding), (1, dilation), ceil_mode=pool.ceil_mode
        )

    def forward(self, x: Tensor) -> Tensor:
        """Signals (batch, channels, length)."""
        pooled: Tensor = self.pool(x.unsqueeze(2))
        return pooled.squeeze(2)


def _agrees(faster: Encoder, encoder: Encoder) -> bool:
    noise = torch.Generator().manual_seed(0)
    windows = torch.randn(TEST_WINDOWS, encoder.crop_samples, generator=noise) / 100
    with torch.inference_mode():
        expected = encoder(encoder.frontend(windows))
        try:
            vectors = faster(faster.frontend(windows))
        # The code of an encoder may depend on a part that was replaced.
        except Exception:
            return False
        difference, largest = (vectors - expected).abs().max(), expected.abs().max()
    return bool(difference <= TOLERANCE * largest)
