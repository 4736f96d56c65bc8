"""Checked forward pass of an encoder."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.devices import forbid_tf32, release_memory
from mscol_cli.host.checks.encoder import validate_embeddings
from mscol_cli.host.guard import label_of, plugin_call


def encode(encoder: Encoder, waveforms: Tensor) -> Tensor:
    """Encode waveforms (batch, samples), at the encoder's rate and level, to (batch, dim).

    Convolutions on a GPU are computed in float32, not in TF32. In inference mode, a batch that does
    not fit into the memory of a GPU is encoded in halves.

    Raises:
        PluginCallError: The encoder raised an exception.
        PluginError: The encoder returned another shape.
    """
    try:
        return _encode(encoder, waveforms)
    except torch.OutOfMemoryError:
        # In training, batch normalisation would see halves of the batch.
        if len(waveforms) == 1 or not torch.is_inference_mode_enabled():
            raise
    release_memory()
    halves = waveforms.tensor_split(2)
    return torch.cat([encode(encoder, half) for half in halves])


def _encode(encoder: Encoder, waveforms: Tensor) -> Tensor:
    exact = forbid_tf32() if waveforms.device.type == "cuda" else nullcontext()
    with plugin_call(label_of(encoder)), exact:
        embeddings: Tensor = encoder(encoder.frontend(waveforms))
    validate_embeddings(embeddings, encoder, len(waveforms))
    return embeddings
