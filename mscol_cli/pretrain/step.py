"""One forward pass of pre-training, compiled, on one or many processes."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.engine.devices import release_memory
from mscol_cli.host.checks.encoder import (
    validate_embeddings,
    validate_features,
    validate_gradients,
)
from mscol_cli.host.checks.objective import split_loss, validate_loss, validate_views
from mscol_cli.host.checks.values import check_finite
from mscol_cli.host.guard import guarded, label_of, plugin_call
from mscol_cli.pretrain.modes import Mode
from mscol_cli.system import distributed

BUCKET_MEGABYTES = 5
"""A quarter of EfficientNet-B0's gradients, so that communication overlaps with backward."""


class Pretraining(nn.Module):
    """Waveforms to loss: augment, front end, augment, one encoder pass over all views, project,
    gather, loss.

    The projections of all processes are gathered before the loss, so that every process computes
    the loss of the global batch.

    Attributes:
        frontend_rows: Maximum number of rows at a time in the front end; None for all. It is halved
            when the device has no memory for them.
    """

    def __init__(
        self, encoder: Encoder, objective: Objective, precision: torch.dtype = torch.float32
    ) -> None:
        """Combine an encoder and an objective.

        Args:
            encoder: The network.
            objective: The pretext task.
            precision: Precision of the encoder; front end and loss are computed in float32.
        """
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.precision = precision
        self._local_embeddings: Mapping[str, Tensor] = {}
        self.frontend_rows: int | None = None
        self._checks_values = False
        self._compiled: Callable[[Tensor], Tensor] | None = None

    def use(self, mode: Mode, device: torch.device) -> None:
        """Compute the next updates in a mode; the encoder is compiled at the first of them."""
        self.precision = mode.precision
        self._compiled = compiled(self.encoder, device) if mode.compiled else None

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Context in which updates are computed in eager float32, by this process alone."""
        mode = self.precision, self._compiled
        self.precision, self._compiled = torch.float32, None
        try:
            with distributed.alone():
                yield
        finally:
            self.precision, self._compiled = mode

    def forward(
        self, waveforms: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute loss and metrics of the global batch.

        Args:
            waveforms: (rows, samples) float32 of this process, by view.
            labels: (rows, ...) labels of this process, by name.

        Raises:
            PluginError: A method returned a tensor of the wrong shape or type.
            PluginCallError: The encoder or the objective raised an exception.
        """
        # A CUDA graph may overwrite the memory of the last embeddings.
        self._local_embeddings = {}
        objective, first = self.objective, next(iter(waveforms.values()))
        crops = guarded(objective, objective.augment_waveforms)(waveforms, labels)
        self._check(crops, first, "augment_waveforms", self.encoder.crop_samples)
        features = guarded(objective, objective.augment_features)(
            _per_view(self._frontend, crops), labels
        )
        self._check(features, first, "augment_features")
        embeddings = _per_view(self._encode, features)
        self._local_embeddings = {view: part.detach() for view, part in embeddings.items()}
        projections = guarded(objective, objective.project)(embeddings)
        self._check(projections, first, "project")
        compute = guarded(objective, objective.loss)
        result = compute(_gathered(projections), _gathered(labels))
        loss, metrics = split_loss(result, label_of(objective))
        return loss, _detached(metrics)

    def check_loss(
        self, loss: object, waveforms: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> None:
        """Check the loss of the first update; on a GPU this waits for the device.

        If it is not finite, the pass is repeated to find the part that this comes from.

        Args:
            loss: Loss that `forward` returned.
            waveforms: Its first argument.
            labels: Its second argument.

        Raises:
            PluginError: The loss is not a finite scalar with a gradient. The message names the
                encoder or the method that is the cause.
        """
        if isinstance(loss, Tensor) and not bool(loss.isfinite().all()):
            self._find_not_finite(waveforms, labels)
        if isinstance(loss, Tensor) and not loss.requires_grad:
            # The trial showed that the loss depends on the embeddings.
            validate_gradients(self.encoder)
        validate_loss(loss, label_of(self.objective))

    def _find_not_finite(
        self, waveforms: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> None:
        self._checks_values = True
        try:
            with self.plain(), torch.no_grad():
                self(waveforms, labels)
        finally:
            self._checks_values = False

    def _check(
        self, views: Mapping[str, Tensor], first: Tensor, method: str, samples: int | None = None
    ) -> None:
        label = label_of(self.objective)
        validate_views(views, len(first), method, label, samples, first.dtype)
        if self._checks_values:
            check_finite(views.values(), method, label)

    def embeddings(self) -> dict[str, Tensor]:
        """Gather the last embeddings of all processes, each of which must call this.

        Returns:
            (batch, dim) by view.
        """
        return _gathered(self._local_embeddings)

    def _frontend(self, waveforms: Tensor) -> Tensor:
        features = self._in_parts(waveforms)
        validate_features(features, self.encoder, waveforms)
        if self._checks_values:
            check_finite([features], "frontend", label_of(self.encoder))
        return features

    def _in_parts(self, waveforms: Tensor) -> Tensor:
        """Features of as many rows at a time as the memory of the device allows."""
        frontend = guarded(self.encoder, self.encoder.frontend)
        rows = self.frontend_rows or len(waveforms)
        while True:
            try:
                if rows >= len(waveforms):
                    return frontend(waveforms)
                return torch.cat([frontend(part) for part in torch.split(waveforms, rows)])
            except torch.OutOfMemoryError:
                if rows == 1:
                    raise
            # After the handler: the exception holds the tensors of the failed attempt.
            release_memory()
            rows = self.frontend_rows = -(-rows // 2)

    def _encode(self, features: Tensor) -> Tensor:
        embeddings = self._embed(features)
        validate_embeddings(embeddings, self.encoder, features)
        if self._checks_values:
            check_finite([embeddings], "forward", label_of(self.encoder))
        return embeddings

    def _embed(self, features: Tensor) -> Tensor:
        encode = self._compiled or self.encoder
        with plugin_call(label_of(self.encoder)):
            if self.precision is torch.float32:
                return encode(features)
            with torch.autocast(features.device.type, dtype=self.precision):
                return encode(features).float()


def _detached(metrics: Any) -> Any:
    # A parameter that only metrics depend on has no gradient to wait for. They are checked later.
    if not isinstance(metrics, Mapping):
        return metrics
    return {k: v.detach() if isinstance(v, Tensor) else v for k, v in metrics.items()}


def _gathered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: distributed.gather(rows) for name, rows in tensors.items()}


def _per_view(
    function: Callable[[Tensor], Tensor], views: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    # One pass over all views: batch normalisation sees anchors and positives together.
    rows = function(torch.cat(list(views.values())))
    return dict(zip(views, torch.split(rows, [len(view) for view in views.values()]), strict=True))


def compiled(encoder: Encoder, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Compile the encoder's forward pass; on a single GPU its kernels run as CUDA graphs.

    Front end, loss and optimiser are not compiled: the front end is complex-valued, and the
    optimiser's learning rate and epsilon change with every update, which a graph cannot record.
    With several processes, graphs cannot record the collectives of batch normalisation.
    """
    # The random numbers of the eager encoder: stochastic depth skips the same blocks, so that the
    # two can be compared. A fused generator would save next to nothing.
    options: dict[str, Any] = {"triton.cudagraphs": uses_graphs(device), "fallback_random": True}
    call: Callable[[Tensor], Tensor] = torch.compile(
        encoder.forward, dynamic=False, options=options
    )
    return call


def count_graph_breaks() -> int:
    """Number of places where the compiler has cut what this process compiled."""
    from torch._dynamo.utils import counters  # it takes seconds to import

    return sum(counters["graph_break"].values())


def uses_graphs(device: torch.device) -> bool:
    """Whether a compiled encoder runs as CUDA graphs: on a single GPU."""
    return device.type == "cuda" and distributed.world_size() == 1


def data_parallel(model: nn.Module, *, uses_all: bool = True) -> nn.Module:
    """Average gradients over all processes; return the model unchanged if there is one.

    Buffers are not broadcast with each update: batch normalisation computes the same statistics in
    every process.

    Args:
        model: The model.
        uses_all: Whether every update uses every parameter. Otherwise the graph of each update is
            searched for those that it does not use, and they get no gradient.
    """
    if distributed.world_size() == 1:
        return model
    # torch lays out gradients of weights with one input channel differently, which costs nothing.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return DistributedDataParallel(
        model,
        bucket_cap_mb=BUCKET_MEGABYTES,
        gradient_as_bucket_view=True,
        find_unused_parameters=not uses_all,
        **_without_buffers(),
    )


def _without_buffers() -> dict[str, Any]:
    # The argument was renamed: torch 2.11 lacks the new name, and later versions deprecate the old.
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    return {name: False}
