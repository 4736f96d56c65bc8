"""Similarity of anchors and positives: bilinear, or cosine with a learned temperature."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mscol_objectives.options import AssociationOptions

PROJECTION_DIM = 512
MIN_TEMPERATURE = 0.01  # CLIP's bound, arXiv 2103.00020


class BilinearSimilarity(nn.Module):
    """Bilinear logits a W p of all anchors a and positives p, without a temperature."""

    def __init__(self, std: float) -> None:
        """Draw W from a normal distribution of standard deviation `std`; Keras has 0.05."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(PROJECTION_DIM, PROJECTION_DIM))
        nn.init.normal_(self.weight, std=std)

    def forward(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """Compute logits (anchors, positives) of (anchors, 512) and (positives, 512)."""
        return anchor @ self.weight @ positive.T

    def vectors(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors and positives of (rows, 512) whose inner products are the logits."""
        return rows @ self.weight, rows

    def metrics(self) -> dict[str, Tensor]:
        """Nothing to report."""
        return {}


class CosineSimilarity(nn.Module):
    """Cosines of all anchors and positives, divided by a learned temperature (arXiv 2103.00020)."""

    def __init__(self, temperature: float) -> None:
        """Start at a temperature; training never brings it below 0.01."""
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def forward(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """Compute logits (anchors, positives) of (anchors, 512) and (positives, 512)."""
        return F.normalize(anchor) @ F.normalize(positive).T / self._temperature()

    def vectors(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors and positives of (rows, 512) whose inner products are the cosines."""
        return F.normalize(rows), F.normalize(rows)

    def metrics(self) -> dict[str, Tensor]:
        """The temperature."""
        return {"temperature": self._temperature().detach()}

    def _temperature(self) -> Tensor:
        # The gradient of a clamp is zero below the bound: the parameter could never return.
        logarithm = self.log_temperature
        below = (logarithm.clamp(min=math.log(MIN_TEMPERATURE)) - logarithm).detach()
        return (logarithm + below).exp()


Similarity = BilinearSimilarity | CosineSimilarity


def build_similarity(options: AssociationOptions) -> Similarity:
    """Build the similarity that the options name."""
    if options.similarity == "cosine":
        return CosineSimilarity(options.temperature)
    return BilinearSimilarity(options.similarity_std)
