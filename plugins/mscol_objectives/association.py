"""COLA's head and similarity, and the loss of the MSA paper with a class of silent positives."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mscol_cli.api import Objective, ObjectiveContext
from mscol_objectives.logits import logit_std
from mscol_objectives.options import AssociationOptions
from mscol_objectives.similarity import PROJECTION_DIM, build_similarity

LAYER_NORM_EPSILON = 1e-3  # Keras' default; torch's is 1e-5
OF_SOURCE = "source/"
"""Prefix of the label of rows whose positive is of a source, such as `source/vocals`."""


class ProjectionHead(nn.Sequential):
    """Linear, layer normalisation, tanh: (batch, dim) to (batch, 512)."""

    def __init__(self, dim: int) -> None:
        linear = nn.Linear(dim, PROJECTION_DIM)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        norm = nn.LayerNorm(PROJECTION_DIM, eps=LAYER_NORM_EPSILON)
        super().__init__(linear, norm, nn.Tanh())


def association_logits(
    anchor: Tensor, positive: Tensor, silent: Tensor, similarity: nn.Module
) -> tuple[Tensor, Tensor]:
    """Logits and targets with all silent positives in one class, represented by their mean.

    The published code drops silent columns and appends the class; here they are set to -inf, which
    gives the same softmax at a constant shape.

    Args:
        anchor: (batch, 512).
        positive: (batch, 512).
        silent: (batch,) bool, whether the positive is silent.
        similarity: Maps anchors and positives to logits.

    Returns:
        Logits (batch, batch + 1), with the silent class in the last column; targets (batch,).
    """
    share = silent.to(positive.dtype) / silent.sum().clamp(min=1)
    mean_silent = share @ positive
    logits = similarity(anchor, torch.cat([positive, mean_silent[None]]))
    absent = torch.cat([silent, ~silent.any()[None]])
    rows = torch.arange(len(anchor), device=anchor.device)
    targets = torch.where(silent, len(anchor), rows)
    return logits.masked_fill(absent, -torch.inf), targets


def reverse_loss(logits: Tensor, silent: Tensor) -> Tensor:
    """Cross-entropy from positives to anchors, the mean over positives that sound.

    Silent positives belong to no anchor in particular; their anchors are negatives of the others.

    Args:
        logits: (batch, batch + 1), those of `association_logits`.
        silent: (batch,) bool.

    Returns:
        A scalar, 0 if all positives are silent.
    """
    rows = logits[:, :-1].T.masked_fill(silent[:, None], 0)
    losses = F.cross_entropy(rows, torch.arange(len(rows), device=rows.device), reduction="none")
    return losses.masked_fill(silent, 0).sum() / (~silent).sum().clamp(min=1)


class Association(Objective):
    """Base class of objectives that identify the positive of each anchor within the batch.

    Views are `anchor` and `positive`. Optional labels are `silent` and, for example,
    `source/vocals`, (batch,) bool, which adds the accuracy of its rows, `accuracy/vocals`.
    """

    def __init__(self, options: AssociationOptions, context: ObjectiveContext) -> None:
        super().__init__()
        self.context = context
        self.symmetric = options.symmetric
        self.head = ProjectionHead(context.embedding_dim)
        self.similarity = build_similarity(options)

    def project(self, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Project each view, (rows, embedding_dim) to (rows, 512)."""
        return {view: self.head(rows) for view, rows in embeddings.items()}

    def similarity_vectors(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Projections of anchors and positives, whose inner products are the logits."""
        return self.similarity.vectors(self.head(embeddings))

    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy from anchors to positives; accuracy overall and by source, and the spread
        of logits, which NT-Xent controls by a temperature."""
        anchor, positive = embeddings["anchor"], embeddings["positive"]
        silent = labels.get("silent")
        if silent is None:
            silent = torch.zeros(len(anchor), dtype=torch.bool, device=anchor.device)
        logits, targets = association_logits(anchor, positive, silent, self.similarity)
        correct = (logits.argmax(1) == targets).float()
        metrics = {"accuracy": correct.mean(), **accuracy_by_source(correct, labels)}
        metrics |= {"logit_std": logit_std(logits), **self.similarity.metrics()}
        loss = F.cross_entropy(logits, targets)
        if self.symmetric:
            loss = (loss + reverse_loss(logits, silent)) / 2
        return loss, metrics


def accuracy_by_source(correct: Tensor, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Accuracy of the rows of each source, NaN for a source without rows.

    Shapes do not depend on values, which avoids synchronising a GPU.

    Args:
        correct: (batch,) 1 where the anchor found its positive, else 0.
        labels: Labels of the global batch; those with prefix `source/` are (batch,) bool.

    Returns:
        Scalars under `accuracy/NAME`.
    """
    return {
        f"accuracy/{name.removeprefix(OF_SOURCE)}": (correct * rows).sum() / rows.sum()
        for name, rows in labels.items()
        if name.startswith(OF_SOURCE)
    }
