"""Folded copies of encoders: the same vectors, current weights, and encoders that do not fold."""

from __future__ import annotations

import gc
import threading
from weakref import ref

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine import embedding
from mscol_cli.engine.batch_norm import globalise_batch_norm
from mscol_cli.engine.embedding import Clip, ClipEmbedding, embed_clips
from mscol_cli.engine.folding import TOLERANCE, fold_batch_norm, folded
from mscol_cli.engine.models import build_encoder
from mscol_cli.host import find_part, load_registry
from tests.helpers.audio import tones

CPU = torch.device("cpu")


class Blocks(Encoder):
    """Two convolutions with batch normalisation; `swapped` applies the parts in another order than
    they are registered in."""

    sample_rate, crop_samples, window_hop, start_grid, dim = 16000, 256, 256, 1, 4

    def __init__(self, swapped: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.swapped = swapped
        self.first = nn.Conv1d(1, 4, 4, stride=4, bias=bias)
        self.norm = nn.BatchNorm1d(4)
        self.relu: nn.Module = nn.ReLU()
        self.second = nn.Conv1d(4, 4, 3)
        self.last = nn.BatchNorm1d(4, affine=False)

    def frontend(self, waveforms: Tensor) -> Tensor:
        return waveforms.unsqueeze(1)

    def forward(self, features: Tensor) -> Tensor:
        first, second = self.first(features), (self.norm, self.last)
        norms = second[::-1] if self.swapped else second
        cells: Tensor = norms[1](self.second(self.relu(norms[0](first))))
        return cells.mean(2)


def with_statistics(encoder: Encoder) -> Encoder:
    """Set statistics and parameters of batch normalisation that are not those of a new one."""
    torch.manual_seed(1)
    for module in encoder.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2.0)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
    return encoder.eval()


def vectors_of(encoder: Encoder, windows: int = 3) -> Tensor:
    noise = torch.Generator().manual_seed(2)
    waveforms = torch.randn(windows, encoder.crop_samples, generator=noise) / 100
    with torch.inference_mode():
        vectors: Tensor = encoder(encoder.frontend(waveforms))
    return vectors


def difference(encoder: Encoder, other: Encoder) -> float:
    expected = vectors_of(encoder)
    return float((vectors_of(other) - expected).abs().max() / expected.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_b0", "small", "sample_cnn"])
def test_bundled_encoders_fold_and_keep_their_vectors(name: str) -> None:
    encoder = with_statistics(build_encoder(find_part(load_registry(), "encoder", name), seed=0))
    before = vectors_of(encoder)
    copy = fold_batch_norm(encoder)
    assert copy is not encoder
    norms = [m for m in copy.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert not norms
    assert difference(encoder, copy) <= TOLERANCE
    torch.testing.assert_close(vectors_of(encoder), before, rtol=0, atol=0)


@pytest.mark.parametrize("bias", [True, False])
def test_a_folded_copy_has_the_vectors_of_its_encoder(bias: bool) -> None:
    encoder = with_statistics(Blocks(bias=bias))
    copy = fold_batch_norm(encoder)
    assert copy is not encoder
    assert difference(encoder, copy) <= TOLERANCE


@pytest.mark.parametrize(
    "part",
    [
        nn.Conv1d(4, 4, 3, padding=2, stride=2, dilation=2),
        nn.Conv1d(4, 4, 3, padding="same"),
        nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv1d(4, 4, 3, groups=2),
        nn.MaxPool1d(3, stride=2, padding=1, ceil_mode=True),
        nn.MaxPool1d(2, dilation=3),
    ],
)
def test_parts_in_another_layout_have_the_same_vectors(part: nn.Module) -> None:
    class Followed(Blocks):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.Sequential(self.relu, part)

    encoder = with_statistics(Followed())
    copy = fold_batch_norm(encoder)
    assert copy is not encoder
    assert difference(encoder, copy) <= TOLERANCE


def test_an_encoder_that_applies_its_parts_in_another_order_is_used_as_it_is() -> None:
    encoder = with_statistics(Blocks(swapped=True))
    assert fold_batch_norm(encoder) is encoder


def test_an_encoder_that_cannot_be_copied_is_used_as_it_is() -> None:
    encoder = Blocks().eval()
    encoder.lock = threading.Lock()  # type: ignore[assignment]
    assert fold_batch_norm(encoder) is encoder


def test_synchronised_batch_normalisation_folds() -> None:
    encoder = with_statistics(Blocks())
    globalise_batch_norm(encoder, CPU)
    copy = fold_batch_norm(encoder)
    assert copy is not encoder
    assert difference(encoder, copy) <= TOLERANCE


@pytest.mark.parametrize("swapped", [False, True])
def test_copies_do_not_keep_an_encoder_alive(swapped: bool) -> None:
    encoder = with_statistics(Blocks(swapped))
    folded(encoder)
    kept = ref(encoder)
    del encoder
    gc.collect()
    assert kept() is None


def test_changed_weights_are_folded_again() -> None:
    encoder = with_statistics(Blocks())
    first = folded(encoder)
    assert folded(encoder) is first
    next(encoder.parameters()).data.mul_(2.0)
    assert folded(encoder) is not first
    assert difference(encoder, folded(encoder)) <= TOLERANCE


def test_a_few_windows_are_embedded_by_the_encoder_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Encoder] = []

    def recorded(encoder: Encoder) -> Encoder:
        used.append(encoder)
        return folded(encoder)

    monkeypatch.setattr(embedding, "folded", recorded)
    encoder = with_statistics(Blocks())
    waveform = tones(1.0)[0].astype(np.float32)
    for windows in (embedding.FOLD_FROM - 1, embedding.FOLD_FROM):
        clip = Clip("clip", waveform[: 256 * windows])
        (result,) = embed_clips(encoder, [clip], device=CPU)
        assert isinstance(result, ClipEmbedding)
        assert len(result.windows) == windows
        assert bool(used) == (windows >= embedding.FOLD_FROM)


def test_an_encoder_in_training_mode_stays_as_it_is() -> None:
    encoder = with_statistics(Blocks()).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    list(embed_clips(encoder, [Clip("clip", tones(1.0)[0].astype(np.float32))], device=CPU))
    assert encoder.training
    torch.testing.assert_close(dict(encoder.state_dict()), before, rtol=0, atol=0)


def test_stochastic_layers_are_never_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "folded", lambda _: pytest.fail("folded"))
    clip = Clip("clip", tones(1.0)[0].astype(np.float32))
    list(embed_clips(with_statistics(Blocks()), [clip], device=CPU, noise=True))
