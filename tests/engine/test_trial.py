"""The trial of an objective leaves no trace."""

import torch
from torch import Tensor, nn

from mscol_cli.engine.trial import saved_state


class Centred(nn.Module):
    center: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(2))


def test_a_buffer_that_was_assigned_is_restored_with_its_value() -> None:
    module = Centred()
    center, restore = module.center, saved_state(module)
    module.center += 1
    module.center = module.center + 1
    module.register_buffer("mean", torch.ones(2))
    restore()
    assert module.state_dict().keys() == {"center"}
    assert module.center is center
    assert not center.any()
