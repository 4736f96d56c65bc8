"""Checks of encoders: attributes, features and embeddings."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.levels import Level
from mscol_cli.host.checks.values import attribute, breach, check_whole
from mscol_cli.host.guard import label_of, plugin_call

_WHOLE = ("sample_rate", "crop_samples", "window_hop", "start_grid", "dim")
_ROWS = 2
_AMPLITUDE = 1e-3


def validate_encoder(encoder: Encoder) -> None:
    """Check a new encoder on the CPU, without changing its weights or the random state.

    Raises:
        PluginError: An attribute is missing or of the wrong type, or `frontend` or `forward`
            returned a tensor of the wrong shape or type.
        PluginCallError: One of them raised an exception.
    """
    label = label_of(encoder)
    check_whole(encoder, _WHOLE, label)
    level = attribute(encoder, "level", label)
    if level not in get_args(Level):
        raise breach(label, f"level is {level!r}, not one of {', '.join(get_args(Level))}")
    was_training = encoder.training
    encoder.eval()
    with torch.random.fork_rng(devices=()), torch.no_grad():
        _try(encoder, label)
    encoder.train(was_training)


def validate_embeddings(embeddings: object, encoder: Encoder, rows: int) -> None:
    """Check the shape of embeddings, which must be (rows, dim). Raises PluginError."""
    label = label_of(encoder)
    if not isinstance(embeddings, Tensor):
        raise breach(label, f"forward returned {type(embeddings).__name__}, not a tensor")
    if embeddings.shape != (rows, encoder.dim):
        raise breach(
            label,
            f"forward returned shape {tuple(embeddings.shape)}, not (batch, dim), which is"
            f" ({rows}, {encoder.dim})",
        )


def _try(encoder: Encoder, label: str) -> None:
    waveforms = _AMPLITUDE * torch.randn(_ROWS, encoder.crop_samples)
    with plugin_call(label, "frontend"):
        features = encoder.frontend(waveforms)
    if not isinstance(features, Tensor):
        raise breach(label, f"frontend returned {type(features).__name__}, not a tensor")
    if features.ndim < 2 or len(features) != _ROWS:
        shape = tuple(features.shape)
        raise breach(label, f"frontend returned shape {shape}, not (batch, ...) for {_ROWS} crops")
    with plugin_call(label, "forward"):
        embeddings = encoder(features)
    validate_embeddings(embeddings, encoder, _ROWS)
    for method, output in (("frontend", features), ("forward", embeddings)):
        if output.dtype != torch.float32:
            raise breach(label, f"{method} returned {output.dtype}, not torch.float32")
    if not embeddings.isfinite().all():
        raise breach(label, "the embedding of noise is not finite")
