"""One forward pass of pre-training, compiled, on one or many processes."""

from __future__ import annotations

import importlib.util
import inspect
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.host.guard import guarded, label_of, plugin_call
from mscol_cli.system import distributed

BUCKET_MEGABYTES = 5
"""Of EfficientNet-B0's 20 MB of gradients a quarter: the first are sent while others are made."""


class Pretraining(nn.Module):
    """Waveforms to loss: augment, front end, augment, one encoder pass over all views, project,
    gather, loss.

    The projections of all processes are gathered before the loss, so an objective sees the whole
    batch: every process computes the same loss from its own share of the work before it.
    """

    def __init__(
        self, encoder: Encoder, objective: Objective, precision: torch.dtype = torch.float32
    ) -> None:
        """Put a network and its task together.

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


def is_compiled(name: str, device: torch.device) -> bool:
    """Whether to compile; `auto` does on a GPU, if what torch needs for that is on the machine."""
    return name == "on" or (name == "auto" and device.type == "cuda" and _can_compile())


def _can_compile() -> bool:
    """Triton makes the kernels, and a C compiler what launches them."""
    compilers = (os.environ.get("CC"), "gcc", "clang")
    has_compiler = any(shutil.which(name) for name in compilers if name)
    return has_compiler and importlib.util.find_spec("triton") is not None


def compiled(encoder: Encoder, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The encoder's forward pass, compiled; on a lone GPU its kernels are replayed as CUDA graphs.

    Front end, loss and optimiser stay outside: the front end is complex-valued, and the optimiser's
    rate and epsilon change with every update, so no graph may hold them. Among several processes
    the collectives of batch normalisation cannot be recorded.
    """
    graphs = device.type == "cuda" and distributed.world_size() == 1
    mode = "reduce-overhead" if graphs else None
    call: Callable[[Tensor], Tensor] = torch.compile(encoder.forward, mode=mode, dynamic=False)
    return call


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
