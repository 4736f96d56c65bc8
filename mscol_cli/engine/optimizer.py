"""Adam with the epsilon of Keras, and optimizer state as named tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-7


def adam(model: nn.Module, device: torch.device, weight_decay: float = 0.0) -> torch.optim.Adam:
    """Adam for the weights of a model on a device, fused where torch can.

    Args:
        model: The model.
        device: Its device.
        weight_decay: Decoupled weight decay (AdamW, arXiv 1711.05101) of all weights but vectors:
            biases, and scales of normalisations.
    """
    fused = True if device.type in ("cpu", "cuda") else None
    weights = [*model.parameters()]
    groups: list[dict[str, Any]] = [{"params": weights}]
    if weight_decay:
        groups = [
            {"params": [one for one in weights if one.ndim > 1], "weight_decay": weight_decay},
            {"params": [one for one in weights if one.ndim <= 1]},
        ]
    return torch.optim.Adam(
        groups, betas=BETAS, fused=fused, decoupled_weight_decay=weight_decay > 0
    )


def flat_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Optimizer state as tensors named `PARAMETER.NAME`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{parameter}.{name}": torch.as_tensor(value)
        for parameter, values in state.items()
        for name, value in values.items()
    }


def load_flat_state(optimizer: torch.optim.Optimizer, flat: Mapping[str, Tensor]) -> None:
    """Restore a state returned by `flat_state`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        parameter, name = key.split(".")
        state.setdefault(int(parameter), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def keras_epsilon(step: int) -> float:
    """Epsilon of torch's Adam at a step, counted from 0, that matches Keras.

    Keras adds 1e-7 to the root of the second moment before bias correction, torch adds epsilon
    after it.
    """
    return EPSILON / math.sqrt(1 - BETAS[1] ** (step + 1))
