"""One forward pass of pre-training, the same for every objective and every number of processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mscol_cli import distributed
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective


class Pretraining(nn.Module):
    """Waveforms to loss: augment, front end, augment, one encoder pass over all views, loss.

    The embeddings of all processes are gathered before the loss, so an objective sees the whole
    batch: every process computes the same loss from its own share of the encoder's work.
    """

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective

    def forward(
        self, waveforms: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """By view, (rows, samples), and labels, to the global loss and its metrics."""
        waveforms = self.objective.augment_waveforms(waveforms, labels)
        plain = _per_view(self.encoder.frontend, waveforms)
        features = self.objective.augment_features(plain, labels)
        embeddings = _per_view(self.encoder, features)
        gathered = {view: distributed.gather(rows) for view, rows in embeddings.items()}
        everyone = {name: distributed.gather(label) for name, label in labels.items()}
        loss, metrics = self.objective.loss(gathered, everyone)
        return loss, metrics


def _per_view(
    function: Callable[[Tensor], Tensor], views: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    # One pass over all views: batch normalisation sees anchors and positives together.
    rows = function(torch.cat(list(views.values())))
    return dict(zip(views, torch.split(rows, [len(view) for view in views.values()]), strict=True))


def globalise_batch_norm(module: nn.Module) -> nn.Module:
    """Replace batch normalisation by that of the global batch; parameter names stay."""
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(module, name, distributed.GlobalBatchNorm(child))
        else:
            globalise_batch_norm(child)
    return module
