"""How gradients of several processes become one."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mscol_cli import distributed

BUCKET_MEGABYTES = 5
"""Of EfficientNet-B0's 20 MB of gradients a quarter: the first are sent while others are made."""


def data_parallel(model: nn.Module) -> nn.Module:
    """The model, its gradients averaged over all processes; itself when there is one.

    Buffers are not sent about with each update: batch normalisation has computed the same
    statistics everywhere. The graph is not declared static, as a plugin's objective may have a
    parameter that some updates do not use.
    """
    if distributed.world_size() == 1:
        return model
    return DistributedDataParallel(
        model,
        bucket_cap_mb=BUCKET_MEGABYTES,
        gradient_as_bucket_view=True,
        **_without_buffers(),
    )


def _without_buffers() -> dict[str, Any]:
    # The switch was renamed: 2.11 lacks the new name, and later versions warn of the old.
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    return {name: False}
