"""Objectives: plans that stay inside their tracks, a loss that can be minimised, metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from mscol_cli.contracts.plans import CropPlan, Crops, StoreIndex
from mscol_cli.contracts.watched import ONLINE_PROBE, RESERVED
from mscol_cli.errors import PluginError
from mscol_cli.host.checks.values import breach


def validate_plan(
    plan: object, index: StoreIndex, crop_samples: int, batch_size: int, label: str
) -> None:
    """Check the crops and labels of one update, in some ten microseconds per view.

    Args:
        plan: What `Objective.plan` returned.
        index: The store's.
        crop_samples: Length of a crop. A crop must end inside its track; in a track that is
            shorter, it must start at 0, and zeros follow.
        batch_size: Rows of the batch.
        label: What messages call the objective.

    Raises:
        PluginError: A row lies outside the store, or an array has another length or type.
    """
    if not isinstance(plan, CropPlan):
        raise breach(label, f"plan returned {type(plan).__name__}, not a CropPlan")
    if not plan.views:
        raise breach(label, "plan returned no view")
    for view, crops in plan.views.items():
        _check_crops(crops, f"view '{view}' of plan", index, crop_samples, batch_size, label)
    for name, values in plan.labels.items():
        _check_array(values, "biuf", f"label '{name}' of plan", batch_size, label)


def validate_views(
    views: object, rows: int, method: str, label: str, samples: int | None = None
) -> None:
    """Check tensors by name, as `augment_waveforms`, `augment_features` and `project` return.

    Args:
        views: What the method returned.
        rows: Of the batch, the first axis of every tensor.
        method: Name of the method.
        label: What messages call the objective.
        samples: Length of waveforms, the second and last axis; None for other tensors.

    Raises:
        PluginError: Something else was returned.
    """
    if not isinstance(views, Mapping) or not views:
        raise breach(label, f"{method} returned {type(views).__name__}, not tensors by name")
    for name, found in views.items():
        if not isinstance(found, Tensor) or not found.is_floating_point():
            raise breach(label, f"{method} returned '{name}' as {_described(found)}, not floats")
        wrong = found.ndim == 0 or len(found) != rows
        if wrong or (samples is not None and found.shape[1:] != (samples,)):
            asked = f"({rows}, {samples})" if samples is not None else f"({rows}, ...)"
            raise breach(
                label, f"{method} returned '{name}' of shape {tuple(found.shape)}, not {asked}"
            )


def validate_loss(loss: object, label: str) -> None:
    """Check the loss of one update; on a GPU this waits for the device.

    Raises:
        PluginError: It is not a finite scalar with a gradient.
    """
    if not isinstance(loss, Tensor) or loss.ndim or not loss.is_floating_point():
        raise breach(label, f"loss is {_described(loss)}, not a scalar tensor")
    if not loss.requires_grad:
        raise breach(label, "loss has no gradient: it does not depend on the embeddings")
    if not bool(loss.isfinite()):
        raise breach(label, f"loss is {loss.item()} at the first update, not a finite number")


def validate_metrics(values: object, label: str) -> dict[str, Tensor]:
    """What an objective reports of an update, without its gradients.

    Args:
        values: By name, scalars.
        label: What messages call the objective.

    Raises:
        PluginError: A name that the trainer has taken, or a value that is not one number.
    """
    if not isinstance(values, Mapping):
        raise breach(label, f"its metrics are {_described(values)}, not tensors by name")
    for name, value in values.items():
        if name in RESERVED or str(name).startswith(ONLINE_PROBE):
            raise PluginError(
                f"{label} reports '{name}', which in metrics.jsonl is the trainer's own:"
                f" its plugin must call that value something else, such as 'objective_{name}'."
            )
        if not isinstance(name, str) or not isinstance(value, Tensor) or value.numel() != 1:
            raise PluginError(
                f"{label} reports '{name}', which is {_described(value)}: its plugin must"
                " return tensors of one number, by name."
            )
    return {name: value.detach() for name, value in values.items()}


def validate_notes(notes: object, label: str) -> list[str]:
    """What `check` returned. Raises PluginError where it is not a list of lines."""
    if not isinstance(notes, (list, tuple)) or not all(isinstance(note, str) for note in notes):
        raise breach(label, f"check returned {notes!r}, not a list of lines")
    return list(notes)


def _check_crops(
    crops: object, what: str, index: StoreIndex, crop_samples: int, batch_size: int, label: str
) -> None:
    if not isinstance(crops, Crops):
        raise breach(label, f"{what} is {type(crops).__name__}, not Crops")
    for name in ("track", "source", "start"):
        _check_array(getattr(crops, name), "i", f"{name} in {what}", batch_size, label)
    _check_range(crops.track, len(index.track_samples), f"track in {what}", "tracks", label)
    _check_range(crops.source, len(index.sources), f"source in {what}", "sources", label)
    # A track that is shorter than a crop is taken from its start, and zeros follow.
    last = np.maximum(index.track_samples[crops.track] - crop_samples, 0)
    outside = (crops.start < 0) | (crops.start > last)
    if outside.any():
        row = int(outside.argmax())
        track = int(crops.track[row])
        raise breach(
            label,
            f"row {row} of {what} starts at sample {crops.start[row]} of track"
            f" '{index.track_ids[track]}', which has {index.track_samples[track]} samples, and a"
            f" crop takes {crop_samples}: it must start between 0 and {last[row]}",
        )


def _check_array(values: object, kinds: str, what: str, batch_size: int, label: str) -> None:
    if not isinstance(values, np.ndarray):
        raise breach(label, f"{what} is {type(values).__name__}, not a NumPy array")
    if values.dtype.kind not in kinds:
        asked = "integers" if kinds == "i" else "numbers or booleans"
        raise breach(label, f"{what} is of type {values.dtype}, not {asked}")
    if values.ndim == 0 or len(values) != batch_size or (kinds == "i" and values.ndim != 1):
        shape = f"({batch_size},)" if kinds == "i" else f"({batch_size}, ...)"
        raise breach(label, f"{what} has shape {values.shape}, not {shape}")


def _check_range(
    values: np.ndarray[Any, np.dtype[np.int64]], count: int, what: str, unit: str, label: str
) -> None:
    if values.min() < 0 or values.max() >= count:
        value = values.min() if values.min() < 0 else values.max()
        raise breach(label, f"{what} has {value}, and the store has {unit} 0 to {count - 1}")


def _described(value: object) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    if value.numel() != 1:
        return f"a tensor of {value.numel()} numbers"
    return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
