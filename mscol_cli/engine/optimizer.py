"""Adam as Keras computes it, and an optimizer's state as named tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-7


def flat_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of every parameter, as tensors named `PARAMETER.NAME`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{parameter}.{name}": torch.as_tensor(value)
        for parameter, values in state.items()
        for name, value in values.items()
    }


def load_flat_state(optimizer: torch.optim.Optimizer, flat: Mapping[str, Tensor]) -> None:
    """Give an optimiser the state that `flat_state` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        parameter, name = key.split(".")
        state.setdefault(int(parameter), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def keras_epsilon(step: int) -> float:
    """Epsilon of an update (counted from 0) for torch's Adam.

    Keras adds 1e-7 to the root of the second moment before the bias of that is corrected, torch
    adds its epsilon after.
    """
    return EPSILON / math.sqrt(1 - BETAS[1] ** (step + 1))
