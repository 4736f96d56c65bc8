"""Trial of an objective on a few rows on the CPU, before a run folder is created."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.plans import CropPlan, StoreIndex
from mscol_cli.errors import UsageError
from mscol_cli.host.checks.objective import (
    plan_batch,
    split_loss,
    validate_gradients,
    validate_loss,
    validate_metrics,
    validate_notes,
    validate_views,
)
from mscol_cli.host.checks.values import breach
from mscol_cli.host.guard import guarded, label_of, plugin_call

CROPS = 2
"""Batch size of the trial with waveforms."""
UNSUITED = (UsageError,)
"""Errors of an objective that does not suit the store, the encoder or its options."""
LOSS_ROWS = 64
"""Maximum batch size of the trial of the loss, with random embeddings."""


def check_objective(objective: Objective, index: StoreIndex, batch_size: int) -> list[str]:
    """Call the objective's `check` of a store and return its notes for the user.

    Raises:
        UsageError: The objective cannot be trained on the store.
        PluginCallError: `check` raised another exception.
        PluginError: `check` returned something other than lines.
    """
    with _named(objective):
        notes = guarded(objective, objective.check, "check", UNSUITED)(index, batch_size)
    return validate_notes(notes, label_of(objective))


def try_objective(
    objective: Objective, encoder: Encoder, index: StoreIndex, batch_size: int
) -> None:
    """Plan a step, augment a few silent crops, and compute a loss of random embeddings.

    Args:
        objective: Objective on the CPU; its parameters and buffers are restored.
        encoder: Encoder, for the length of crops and the front end.
        index: Index of the store.
        batch_size: Batch size of the run.

    Raises:
        UsageError: The objective does not suit the encoder or its options.
        PluginError: The objective breaks its contract.
        PluginCallError: One of its methods, or the encoder's front end, raised another exception.
    """
    with _named(objective), torch.random.fork_rng(devices=()):
        _check_repeatable(objective, encoder, index, batch_size)
        restore = saved_state(objective, encoder)
        views = _try_crops(objective, encoder, _plan(objective, encoder, index, CROPS))
        plan = _plan(objective, encoder, index, min(batch_size, LOSS_ROWS))
        _try_loss(objective, encoder.dim, plan, views)
        restore()


@contextmanager
def _named(objective: Objective) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{label_of(objective)}: {error}") from error


def saved_state(*modules: nn.Module) -> Callable[[], None]:
    """Copy parameters and buffers, which a call may change, as in batch normalisation; returns a
    function that restores them, in place."""
    tensors = [
        tensor for module in modules for tensor in chain(module.parameters(), module.buffers())
    ]
    before = [tensor.detach().clone() for tensor in tensors]
    parts = [part for module in modules for part in module.modules()]
    # A call may also assign another tensor: `self.center = 0.9 * self.center + 0.1 * mean`.
    tables: list[dict[str, Any]] = [
        table for part in parts for table in (part._parameters, part._buffers)
    ]
    entries = [dict(table) for table in tables]

    def restore() -> None:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        for table, assigned in zip(tables, entries, strict=True):
            table.clear()
            table.update(assigned)

    return restore


def _plan(objective: Objective, encoder: Encoder, index: StoreIndex, batch_size: int) -> CropPlan:
    rng, where = np.random.default_rng(0), f"plan of {batch_size} rows"
    return plan_batch(objective, index, rng, batch_size, encoder.crop_samples, where, UNSUITED)


def _check_repeatable(
    objective: Objective, encoder: Encoder, index: StoreIndex, batch_size: int
) -> None:
    first, second = (_plan(objective, encoder, index, batch_size) for _ in range(2))
    if _content(first) != _content(second):
        raise breach(
            label_of(objective),
            "plan returned other crops or labels for the same rng: draw every random number from"
            " rng",
        )


def _content(plan: CropPlan) -> dict[tuple[str, str], tuple[object, ...]]:
    """All arrays of a plan in a form that can be compared; NaN equals NaN."""
    arrays = {("", name): label for name, label in plan.labels.items()}
    for view, crops in plan.views.items():
        arrays |= {(view, name): array for name, array in vars(crops).items() if array is not None}
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}


def _try_crops(objective: Objective, encoder: Encoder, plan: CropPlan) -> list[str]:
    """Augment crops of silence; returns the names of the views that are left."""
    label, labels = label_of(objective), _tensors(plan)
    crops = {view: torch.zeros(CROPS, encoder.crop_samples) for view in plan.views}
    with torch.no_grad():
        changed = guarded(objective, objective.augment_waveforms, "augment_waveforms")(
            crops, labels
        )
        validate_views(changed, CROPS, "augment_waveforms", label, encoder.crop_samples)
        with plugin_call(label_of(encoder), "frontend"):
            features = {view: encoder.frontend(rows) for view, rows in changed.items()}
        augmented = guarded(objective, objective.augment_features, "augment_features", UNSUITED)(
            features, labels
        )
        validate_views(augmented, CROPS, "augment_features", label)
        return list(augmented)


def _try_loss(objective: Objective, dim: int, plan: CropPlan, views: Sequence[str]) -> None:
    label, rows = label_of(objective), len(next(iter(plan.views.values())).track)
    embeddings = {view: torch.randn(rows, dim, requires_grad=True) for view in views}
    projected = guarded(objective, objective.project, "project")(embeddings)
    validate_views(projected, rows, "project", label)
    compute = guarded(objective, objective.loss, "loss of random embeddings")
    loss, metrics = split_loss(compute(projected, _tensors(plan)), label)
    validate_loss(loss, label)
    validate_gradients(loss, list(embeddings.values()), label)
    validate_metrics(metrics, label)


def _tensors(plan: CropPlan) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(np.ascontiguousarray(label)) for name, label in plan.labels.items()
    }
