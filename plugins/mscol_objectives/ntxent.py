"""NT-Xent: each crop identifies the other crop of its pair among all crops of the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent_logits(anchor: Tensor, positive: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Logits and targets of the normalised temperature-scaled cross-entropy.

    This is the loss of SimCLR (arXiv 2002.05709). Each of the 2N crops is compared by cosine with
    the 2N - 1 others: its pair and 2N - 2 negatives.

    Args:
        anchor: (N, dim) of any norm: rows are normalised.
        positive: (N, dim).
        temperature: Divisor of cosines.

    Returns:
        Logits (2N, 2N), -inf on the diagonal; targets (2N,).
    """
    rows = F.normalize(torch.cat([anchor, positive]))
    logits = (rows @ rows.T / temperature).fill_diagonal_(-torch.inf)
    targets = torch.arange(len(rows), device=rows.device).roll(len(anchor))
    return logits, targets
