"""Checks of objectives: plans, views, loss and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.plans import CropPlan, Crops, StoreIndex
from mscol_cli.contracts.watched import ONLINE_PROBE, RESERVED
from mscol_cli.errors import PluginError
from mscol_cli.host.checks.values import breach
from mscol_cli.host.guard import Allowed, guarded, label_of, plugin_call

NO_GRADIENT = "loss has no gradient: it does not depend on the embeddings"


def plan_batch(
    objective: Objective,
    index: StoreIndex,
    rng: np.random.Generator,
    batch_size: int,
    crop_samples: int,
    where: str,
    allowed: Allowed = (),
) -> CropPlan:
    """Plan the crops of one update with an objective.

    Args:
        objective: The objective.
        index: Index of the store.
        rng: Generator of the update.
        batch_size: Rows of the batch.
        crop_samples: Length of a crop, in samples.
        where: Name of the update in messages.
        allowed: Exceptions that pass unchanged.

    Raises:
        PluginError: The plan breaks its contract, such as by a crop outside its track.
        PluginCallError: The objective raised another exception.
    """
    plan = guarded(objective, objective.plan, where, allowed)(index, rng, batch_size)
    validate_plan(plan, index, crop_samples, batch_size, label_of(objective))
    return plan


def validate_plan(
    plan: object, index: StoreIndex, crop_samples: int, batch_size: int, label: str
) -> None:
    """Check the crops and labels of one update, which takes about 10 microseconds per view.

    Args:
        plan: Result of `Objective.plan`.
        index: Index of the store.
        crop_samples: Length of a crop, in samples. A crop must end inside its track, or start at 0
            in a shorter track.
        batch_size: Rows of the batch.
        label: Label of the objective, for messages.

    Raises:
        PluginError: A crop lies outside the store, or an array has the wrong length or type.
    """
    if not isinstance(plan, CropPlan):
        raise breach(label, f"plan returned {type(plan).__name__}, not a CropPlan")
    views = _mapping(plan.views, "views of plan have type", label)
    if not views:
        raise breach(label, "plan returned no view")
    for view, crops in views.items():
        _check_crops(crops, f"view '{view}' of plan", index, crop_samples, batch_size, label)
    for name, values in _mapping(plan.labels, "labels of plan have type", label).items():
        _check_array(values, "biuf", f"label '{name}' of plan", batch_size, label)


def validate_views(
    views: object,
    rows: int,
    method: str,
    label: str,
    samples: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Check the result of `augment_waveforms`, `augment_features` or `project`.

    Args:
        views: (rows, samples) or (rows, ...) tensors by name.
        rows: Rows of the batch.
        method: Name of the method.
        label: Label of the objective, for messages.
        samples: Length of waveforms; None for other tensors.
        dtype: Type of waveforms and features.

    Raises:
        PluginError: A tensor has the wrong shape or type.
    """
    tensors = _mapping(views, f"{method} returned", label)
    if not tensors:
        raise breach(label, f"{method} returned no view")
    for name, view in tensors.items():
        if not isinstance(view, Tensor) or not view.is_floating_point():
            raise breach(label, f"{method} returned '{name}' as {_describe(view)}, not floats")
        if method != "project" and view.dtype != dtype:
            raise breach(label, f"{method} returned '{name}' as {view.dtype}, not {dtype}")
        wrong = view.ndim == 0 or len(view) != rows
        if wrong or (samples is not None and view.shape[1:] != (samples,)):
            shape, expected = (
                tuple(view.shape),
                f"({rows}, {'...' if samples is None else samples})",
            )
            raise breach(label, f"{method} returned '{name}' of shape {shape}, not {expected}")


def split_loss(result: object, label: str) -> tuple[Any, Any]:
    """Loss and metrics from the result of `loss`, both unchecked. Raises PluginError."""
    if isinstance(result, (tuple, list)) and len(result) == 2:
        return result[0], result[1]
    shape = f" of shape {tuple(result.shape)}" if isinstance(result, Tensor) else ""
    kind = "tensor" if isinstance(result, Tensor) else type(result).__name__
    raise breach(label, f"loss returned {kind}{shape}, not (loss, metrics): return loss, {{}}")


def validate_loss(loss: object, label: str) -> None:
    """Check the loss of one update; on a GPU this waits for the device.

    Raises:
        PluginError: The loss is not a finite scalar with a gradient.
    """
    if not isinstance(loss, Tensor) or loss.ndim or not loss.is_floating_point():
        raise breach(label, f"loss is {_describe(loss)}, not a scalar tensor")
    if not loss.requires_grad:
        raise breach(label, NO_GRADIENT)
    if not bool(loss.isfinite()):
        raise breach(label, f"loss is {loss.item()} at the first update, not a finite number")


def validate_gradients(loss: Tensor, embeddings: Sequence[Tensor], label: str) -> None:
    """Check that a loss depends on one of the embeddings, which are leaves. Raises PluginError."""
    # Zeros are accepted: with few rows, a contrastive loss may be at its minimum.
    with plugin_call(label, "gradient of the loss"):
        gradients = torch.autograd.grad(loss, embeddings, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise breach(label, NO_GRADIENT)


def validate_metrics(values: object, label: str) -> dict[str, Tensor]:
    """Check the metrics of one update, and detach them.

    Raises:
        PluginError: A name is reserved for the trainer, or a value is not a scalar.
    """
    metrics = _mapping(values, "its metrics have type", label)
    for name, value in metrics.items():
        if name in RESERVED or str(name).startswith(ONLINE_PROBE):
            raise PluginError(
                f"{label} reports '{name}', a name that the trainer uses in metrics.jsonl:"
                f" its plugin must rename this metric, such as to 'objective_{name}'."
            )
        if not isinstance(name, str) or not isinstance(value, Tensor) or value.numel() != 1:
            raise PluginError(
                f"{label} reports '{name}', which is {_describe(value)}: its plugin must"
                " return tensors of one number, by name."
            )
    return {name: value.detach() for name, value in metrics.items()}


def validate_notes(notes: object, label: str) -> list[str]:
    """Check the result of `Objective.check`, a list of lines. Raises PluginError."""
    if not isinstance(notes, (list, tuple)) or not all(isinstance(note, str) for note in notes):
        raise breach(label, f"check returned {notes!r}, not a list of lines")
    return list(notes)


def _mapping(value: object, what: str, label: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise breach(label, f"{what} {type(value).__name__}, not a mapping by name")
    return value


def _check_crops(
    crops: object, what: str, index: StoreIndex, crop_samples: int, batch_size: int, label: str
) -> None:
    if not isinstance(crops, Crops):
        raise breach(label, f"{what} is {type(crops).__name__}, not Crops")
    for name in ("track", "source", "start"):
        _check_array(getattr(crops, name), "i", f"{name} in {what}", batch_size, label)
    _check_range(crops.track, len(index.track_samples), f"track in {what}", "tracks", label)
    _check_range(crops.source, len(index.sources), f"source in {what}", "sources", label)
    if crops.gains is not None:
        _check_gains(crops.gains, f"gains in {what}", index, batch_size, label)
    # In a track shorter than a crop, the only valid start is 0.
    last = np.maximum(index.track_samples[crops.track] - crop_samples, 0)
    outside = (crops.start < 0) | (crops.start > last)
    if outside.any():
        row = int(outside.argmax())
        track = int(crops.track[row])
        raise breach(
            label,
            f"row {row} of {what} starts at sample {crops.start[row]} of track"
            f" '{index.track_ids[track]}', which has {index.track_samples[track]} samples; a crop"
            f" has {crop_samples}: it must start between 0 and {last[row]}",
        )


def _check_gains(
    gains: NDArray[Any], what: str, index: StoreIndex, batch_size: int, label: str
) -> None:
    _check_array(gains, "f", what, batch_size, label)
    if gains.shape != (shape := (batch_size, len(index.sources))):
        raise breach(label, f"{what} has shape {gains.shape}, not {shape}")
    if not np.isfinite(gains).all():
        raise breach(label, f"{what} has a value that is not finite")
    # The level of a mixture is computed as if its sources were uncorrelated.
    if ((gains[:, 0] != 0) & gains[:, 1:].any(1)).any():
        raise breach(label, f"{what} mixes '{index.sources[0]}' with other sources")


def _check_array(values: object, kinds: str, what: str, batch_size: int, label: str) -> None:
    if not isinstance(values, np.ndarray):
        raise breach(label, f"{what} is {type(values).__name__}, not a NumPy array")
    if values.dtype.kind not in kinds:
        expected = {"i": "integers", "f": "floats"}.get(kinds, "numbers or booleans")
        raise breach(label, f"{what} is of type {values.dtype}, not {expected}")
    if values.ndim == 0 or len(values) != batch_size or (kinds == "i" and values.ndim != 1):
        shape = f"({batch_size},)" if kinds == "i" else f"({batch_size}, ...)"
        raise breach(label, f"{what} has shape {values.shape}, not {shape}")


def _check_range(
    values: np.ndarray[Any, np.dtype[np.int64]], count: int, what: str, unit: str, label: str
) -> None:
    if values.min() < 0 or values.max() >= count:
        value = values.min() if values.min() < 0 else values.max()
        raise breach(label, f"{what} has {value}, and the store has {unit} 0 to {count - 1}")


def _describe(value: object) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    if value.numel() != 1:
        return f"a tensor of {value.numel()} numbers"
    return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
