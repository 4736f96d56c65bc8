"""Checked forward pass of an encoder."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.devices import exact_floats, release_memory
from mscol_cli.host.checks.encoder import validate_embeddings
from mscol_cli.host.guard import label_of, plugin_call

_limits: WeakKeyDictionary[Encoder, int] = WeakKeyDictionary()
"""Rows that were found to fit into memory at once, of encoders for which a batch did not."""


def encode(encoder: Encoder, waveforms: Tensor) -> Tensor:
    """Encode waveforms (batch, samples), at the encoder's rate and level, to (batch, dim).

    Convolutions on a GPU are computed in float32, not in TF32. In inference mode, a batch that does
    not fit into the memory of a GPU is encoded in parts, and so are later ones of its size.

    Raises:
        PluginCallError: The encoder raised an exception.
        PluginError: The encoder returned another shape.
    """
    # In training, batch normalisation would see parts of the batch.
    inference, rows = torch.is_inference_mode_enabled(), len(waveforms)
    limit = _limits.get(encoder, rows) if inference else rows
    if limit < rows:
        return torch.cat([encode(encoder, part) for part in torch.split(waveforms, limit)])
    try:
        return _encode(encoder, waveforms)
    except torch.OutOfMemoryError:
        if rows == 1 or not inference:
            raise
    release_memory()
    _limits[encoder] = -(-rows // 2)
    return encode(encoder, waveforms)


def _encode(encoder: Encoder, waveforms: Tensor) -> Tensor:
    with exact_floats(waveforms.device), plugin_call(label_of(encoder)):
        embeddings: Tensor = encoder(encoder.frontend(waveforms))
    validate_embeddings(embeddings, encoder, waveforms)
    return embeddings
