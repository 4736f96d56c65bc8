"""An optimiser's state as named tensors, which safetensors can hold."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


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
