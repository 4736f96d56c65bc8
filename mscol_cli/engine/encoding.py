"""Checked forward pass of an encoder."""

from __future__ import annotations

from torch import Tensor

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.host.checks.encoder import validate_embeddings
from mscol_cli.host.guard import label_of, plugin_call


def encode(encoder: Encoder, waveforms: Tensor) -> Tensor:
    """Encode waveforms (batch, samples), at the encoder's rate and level, to (batch, dim).

    Raises:
        PluginCallError: The encoder raised an exception.
        PluginError: The encoder returned another shape.
    """
    with plugin_call(label_of(encoder)):
        embeddings: Tensor = encoder(encoder.frontend(waveforms))
    validate_embeddings(embeddings, encoder, len(waveforms))
    return embeddings
