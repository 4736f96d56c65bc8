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
_TOLERANCE = 1e-3
"""Relative difference between two embeddings of a row that is more than rounding."""


def validate_encoder(encoder: Encoder) -> None:
    """Check a new encoder on the CPU, without changing its weights or the random state.

    Raises:
        PluginError: An attribute is missing or of the wrong type, or `frontend` or `forward`
            returned a tensor of the wrong shape or type, or rows that depend on one another.
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


def validate_features(features: object, encoder: Encoder, waveforms: Tensor) -> None:
    """Check features, which must be (rows, ...) of the waveforms' type. Raises PluginError."""
    rows = len(waveforms)
    label = label_of(encoder)
    if not isinstance(features, Tensor):
        raise breach(label, f"frontend returned {type(features).__name__}, not a tensor")
    if features.ndim < 2 or len(features) != rows:
        shape = tuple(features.shape)
        raise breach(label, f"frontend returned shape {shape}, not (batch, ...) for {rows} crops")
    _check_type(features, waveforms.dtype, "frontend", label)


def validate_embeddings(embeddings: object, encoder: Encoder, inputs: Tensor) -> None:
    """Check embeddings, which must be (rows, dim) of the type of the inputs. Raises PluginError."""
    rows = len(inputs)
    label = label_of(encoder)
    if not isinstance(embeddings, Tensor):
        raise breach(label, f"forward returned {type(embeddings).__name__}, not a tensor")
    if embeddings.shape != (rows, encoder.dim):
        raise breach(
            label,
            f"forward returned shape {tuple(embeddings.shape)}, not (batch, dim), which is"
            f" ({rows}, {encoder.dim})",
        )
    _check_type(embeddings, inputs.dtype, "forward", label)


def validate_gradients(encoder: Encoder) -> None:
    """Check that the first update gives the encoder gradients. Raises PluginError."""
    weights = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    if weights and all(parameter.grad is None for parameter in weights):
        raise breach(
            label_of(encoder),
            "forward gives no parameter a gradient, so that it would not be trained: remove"
            " no_grad or detach",
        )


def _try(encoder: Encoder, label: str) -> None:
    waveforms = _AMPLITUDE * torch.randn(_ROWS, encoder.crop_samples)
    embeddings = _embed(encoder, waveforms, label)
    if not embeddings.isfinite().all():
        raise breach(label, "the embedding of noise is not finite")
    alone = _embed(encoder, waveforms[-1:], label)
    if (alone - embeddings[-1:]).abs().max() > _TOLERANCE * embeddings.abs().max():
        raise breach(
            label,
            "the embedding of a crop depends on the other rows of its batch, or is random in eval"
            " mode",
        )


def _embed(encoder: Encoder, waveforms: Tensor, label: str) -> Tensor:
    with plugin_call(label, "frontend"):
        features = encoder.frontend(waveforms)
    validate_features(features, encoder, waveforms)
    with plugin_call(label, "forward"):
        embeddings: Tensor = encoder(features)
    validate_embeddings(embeddings, encoder, waveforms)
    return embeddings


def _check_type(output: Tensor, expected: torch.dtype, method: str, label: str) -> None:
    if output.dtype != expected:
        raise breach(label, f"{method} returned {output.dtype}, not {expected}")
