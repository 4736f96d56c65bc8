"""Spread of logits, which a temperature controls in other losses."""

from __future__ import annotations

import torch
from torch import Tensor


def logit_std(logits: Tensor) -> Tensor:
    """Standard deviation (scalar) of the finite logits (...); infinite ones mark invalid choices.

    Shapes do not depend on values, which avoids synchronising a GPU.
    """
    logits = logits.detach()
    finite = logits.isfinite()
    count = finite.sum()
    mean = torch.where(finite, logits, 0).sum() / count
    return (torch.where(finite, logits - mean, 0).square().sum() / count).sqrt()
