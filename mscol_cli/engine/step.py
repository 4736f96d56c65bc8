"""One forward pass of pre-training, the same for every objective and every number of processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mscol_cli import distributed
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.engine.compiling import compiled
from mscol_cli.host.guard import guarded, label_of, plugin_call


class Pretraining(nn.Module):
    """Waveforms to loss: augment, front end, augment, one encoder pass over all views, project,
    gather, loss.

    The projections of all processes are gathered before the loss, so an objective sees the whole
    batch: every process computes the same loss from its own share of the work before it.
    """

    def __init__(
        self, encoder: Encoder, objective: Objective, precision: torch.dtype = torch.float32
    ) -> None:
        """
        Args:
            encoder: The network.
            objective: The pretext task.
            precision: Of the encoder's activations; front end and loss stay as they are.
        """
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.precision = precision
        self._own_embeddings: Mapping[str, Tensor] = {}
        self._compiled: Callable[[Tensor], Tensor] | None = None

    def compile_encoder(self, device: torch.device) -> None:
        """Compile the encoder, on the device it is on, at the first update."""
        self._compiled = compiled(self.encoder, device)

    def forward(
        self, waveforms: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """By view, (rows, samples), and labels, to the global loss and its metrics.

        Raises:
            PluginCallError: The encoder or the objective raised an exception.
        """
        # A CUDA graph may write the new ones where the last ones are.
        self._own_embeddings = {}
        waveforms = guarded(self.objective, self.objective.augment_waveforms)(waveforms, labels)
        plain = _per_view(guarded(self.encoder, self.encoder.frontend), waveforms)
        features = guarded(self.objective, self.objective.augment_features)(plain, labels)
        embeddings = _per_view(self._encode, features)
        self._own_embeddings = {view: rows.detach() for view, rows in embeddings.items()}
        projections = _gathered(guarded(self.objective, self.objective.project)(embeddings))
        loss, metrics = guarded(self.objective, self.objective.loss)(projections, _gathered(labels))
        return loss, metrics

    def embeddings(self) -> dict[str, Tensor]:
        """By view, the encoder's (batch, dim) of the last forward pass and of all processes, every
        one of which must call this."""
        return _gathered(self._own_embeddings)

    def _encode(self, features: Tensor) -> Tensor:
        encode = self._compiled or self.encoder
        with plugin_call(label_of(self.encoder)):
            if self.precision is torch.float32:
                return encode(features)
            with torch.autocast(features.device.type, dtype=self.precision):
                return encode(features).float()


def _gathered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: distributed.gather(rows) for name, rows in tensors.items()}


def _per_view(
    function: Callable[[Tensor], Tensor], views: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    # One pass over all views: batch normalisation sees anchors and positives together.
    rows = function(torch.cat(list(views.values())))
    return dict(zip(views, torch.split(rows, [len(view) for view in views.values()]), strict=True))
