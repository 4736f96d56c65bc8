"""NT-Xent: each crop finds the other crop of its pair among all other crops of the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent_logits(anchor: Tensor, positive: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Logits and targets of the normalised temperature-scaled cross-entropy.

    It is the loss of SimCLR (arXiv 2002.05709). Both directions are rows of one matrix: crop i of
    2N is compared by cosine with the 2N - 1 others, of which one is its pair and 2N - 2 are
    negatives; with itself it is not compared.

    Args:
        anchor: (N, dim), of any length: rows are scaled to 1.
        positive: (N, dim).
        temperature: Cosines are divided by it.

    Returns:
        Logits (2N, 2N), -inf on the diagonal; targets (2N,).
    """
    rows = F.normalize(torch.cat([anchor, positive]))
    logits = (rows @ rows.T / temperature).fill_diagonal_(-torch.inf)
    targets = torch.arange(len(rows), device=rows.device).roll(len(anchor))
    return logits, targets
