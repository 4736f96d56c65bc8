"""How far logits are spread: what a temperature sets in other losses."""

from __future__ import annotations

import torch
from torch import Tensor


def logit_std(logits: Tensor) -> Tensor:
    """Standard deviation, a scalar, of the logits that are finite; others mark what is no choice.

    Shapes never depend on values, so that a GPU does not wait.
    """
    logits = logits.detach()
    finite = logits.isfinite()
    count = finite.sum()
    mean = torch.where(finite, logits, 0).sum() / count
    return (torch.where(finite, logits - mean, 0).square().sum() / count).sqrt()
