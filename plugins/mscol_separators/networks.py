"""Open-Unmix's network of one target, rearranged for speed, with the same output.

Shifts, scales and batch normalisations are folded into the adjacent matrices. Each direction of
each recurrent layer runs separately, so that clips of different lengths can share a batch: the
reverse direction of a clip begins at its end, not in the padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from openunmix.model import OpenUnmix


class TargetNetwork(nn.Module):
    """Maps magnitudes of the mixture to masks of one target.

    Attributes:
        channels: Number of input channels.
        bins: Number of input bins per channel, from 0 Hz.
    """

    def __init__(self, network: OpenUnmix, precision: torch.dtype = torch.float32) -> None:
        """Copy the weights of `network`.

        Args:
            network: The network.
            precision: Type of recurrent layers and of those after them. The first layer stays in
                float32: it subtracts the means of magnitudes.
        """
        super().__init__()
        self.bins = int(network.nb_bins)
        self.channels = network.fc3.out_features // int(network.nb_output_bins)
        self.enter = _folded(
            network.fc1,
            network.bn1,
            shift=network.input_mean.repeat(self.channels),
            scale=network.input_scale.repeat(self.channels),
        )
        self.enter_equal = _for_equal_channels(self.enter, self.channels)
        layers = range(int(network.lstm.num_layers))
        self.forwards = nn.ModuleList(_direction(network.lstm, layer, "") for layer in layers)
        self.backwards = nn.ModuleList(
            _direction(network.lstm, layer, "_reverse") for layer in layers
        )
        self.inner = _folded(network.fc2, network.bn2)
        self.leave = _folded(
            network.fc3,
            network.bn3,
            out_scale=network.output_scale.repeat(self.channels),
            out_shift=network.output_mean.repeat(self.channels),
        )
        self.precision = precision
        for part in (self.forwards, self.backwards, self.inner, self.leave):
            part.to(precision)

    def encode(self, magnitudes: Tensor, lengths: Sequence[int]) -> Tensor:
        """Encode complete clips.

        Args:
            magnitudes: (frames, clips, channels * bins), or (frames, clips, bins) if all channels
                are equal.
            lengths: Frames of each clip; the rest is padding.

        Returns:
            (frames, clips, hidden), the input of `masks`.
        """
        enter = self.enter if magnitudes.shape[-1] == self.enter.in_features else self.enter_equal
        first = states = torch.tanh_(enter(magnitudes)).to(self.precision)
        order = _reversal(lengths, magnitudes.device)
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            states = torch.cat(
                [ahead(states)[0], _reverse(back(_reverse(states, order))[0], order)], dim=-1
            )
        return torch.relu_(self.inner(torch.cat([first, states], dim=-1)))

    def masks(self, hidden: Tensor) -> Tensor:
        """Map (frames, hidden) to non-negative masks (channels, frames, all bins)."""
        masks: Tensor = torch.relu_(self.leave(hidden).float())
        return masks.view(len(hidden), self.channels, -1).transpose(0, 1)


def _direction(lstm: nn.LSTM, layer: int, suffix: str) -> nn.LSTM:
    """One direction of one layer as a separate network."""
    weights = {
        name: getattr(lstm, f"{name}_l{layer}{suffix}").detach()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    single = nn.LSTM(weights["weight_ih"].shape[1], lstm.hidden_size)
    single.load_state_dict({f"{name}_l0": weight for name, weight in weights.items()})
    return single


def _folded(
    linear: nn.Linear,
    norm: nn.BatchNorm1d,
    shift: Tensor | None = None,
    scale: Tensor | None = None,
    out_scale: Tensor | None = None,
    out_shift: Tensor | None = None,
) -> nn.Linear:
    """Fold (x + shift) * scale, `linear`, `norm`, * out_scale + out_shift into one layer."""
    weight = linear.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach().double()
    if shift is not None and scale is not None:
        bias = bias + weight @ (shift.detach().double() * scale.detach().double())
        weight = weight * scale.detach().double()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.detach().double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    bias = (bias - norm.running_mean.double()) * factor + norm.bias.detach().double()
    weight = weight * factor[:, None]
    if out_scale is not None and out_shift is not None:
        bias = bias * out_scale.detach().double() + out_shift.detach().double()
        weight = weight * out_scale.detach().double()[:, None]
    return _linear(weight, bias)


def _for_equal_channels(linear: nn.Linear, channels: int) -> nn.Linear:
    """The layer for equal channels, whose input is one of them."""
    if channels == 1:
        return linear
    weight = linear.weight.detach().double().view(linear.out_features, channels, -1).sum(dim=1)
    return _linear(weight, linear.bias.detach().double())


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], len(weight), device="meta")
    linear.weight = nn.Parameter(weight.float(), requires_grad=False)
    linear.bias = nn.Parameter(bias.float(), requires_grad=False)
    return linear


def _reversal(lengths: Sequence[int], device: torch.device) -> Tensor | None:
    """(frames, clips) source of frame t in each reversed clip; None if all lengths are equal."""
    if len(set(lengths)) == 1:
        return None
    frame = torch.arange(max(lengths), device=device)[:, None]
    length = torch.tensor(lengths, device=device)
    return torch.where(frame < length, length - 1 - frame, frame)


def _reverse(frames: Tensor, order: Tensor | None) -> Tensor:
    """Reverse each clip in (frames, clips, units)."""
    if order is None:
        return frames.flip(0)
    return frames.gather(0, order[..., None].expand(-1, -1, frames.shape[-1]))
