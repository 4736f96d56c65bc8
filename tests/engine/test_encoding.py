"""The forward pass of an encoder on a device with little memory."""

import pytest
import torch
from torch import Tensor

from mscol_cli.engine.encoding import encode
from mscol_cli.engine.models import build_encoder
from mscol_cli.host import find_part, load_registry


def test_a_batch_without_room_is_encoded_in_parts_and_so_are_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = build_encoder(find_part(load_registry(), "encoder", "small"), seed=0).eval()
    waveforms = torch.randn(7, encoder.crop_samples) * 1e-2
    forward, sizes = encoder.forward, list[int]()

    def limited(features: Tensor) -> Tensor:
        sizes.append(len(features))
        if len(features) > 2:
            raise torch.OutOfMemoryError("no room")
        return forward(features)

    with torch.inference_mode():
        expected = encode(encoder, waveforms)
        monkeypatch.setattr(encoder, "forward", limited)
        found = encode(encoder, waveforms)
        assert sizes == [7, 4, 2, 2, 2, 1]
        sizes.clear()
        encode(encoder, waveforms)
    assert sizes == [2, 2, 2, 1]
    assert torch.allclose(found, expected, atol=1e-6)
    # In training, halves would have other statistics of batch normalisation.
    with pytest.raises(torch.OutOfMemoryError):
        encode(encoder.train(), waveforms)
