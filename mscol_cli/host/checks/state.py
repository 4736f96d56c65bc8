"""Check of parameters and buffers, which checkpoints hold."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mscol_cli.host.checks.values import breach
from mscol_cli.host.guard import label_of, plugin_call


def validate_state(module: nn.Module) -> None:
    """Check that a checkpoint can hold the state of a part.

    Raises:
        PluginError: A value of its state dict is not a dense tensor, or has no shape yet; or
            elements of a buffer share memory.
        PluginCallError: `state_dict` raised an exception.
    """
    label = label_of(module)
    with plugin_call(label, "state_dict"):
        state = module.state_dict()
    for name, value in chain(state.items(), module.named_buffers()):
        if is_lazy(value):
            raise breach(label, f"its state has '{name}' without a shape: do not use lazy modules")
        if not isinstance(value, Tensor) or value.layout is not torch.strided:
            kind = value.layout if isinstance(value, Tensor) else type(value).__name__
            raise breach(
                label,
                f"its state has '{name}' of type {kind}, and checkpoints hold dense tensors only:"
                " register it as a buffer, or leave it out of the state",
            )
        if any(
            not step and size > 1 for step, size in zip(value.stride(), value.shape, strict=True)
        ):
            raise breach(
                label, f"elements of its '{name}' share memory: add .clone() behind .expand(...)"
            )
