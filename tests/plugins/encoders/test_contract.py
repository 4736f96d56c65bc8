"""What every registered encoder owes the rest: a new one is tested by being installed."""

from __future__ import annotations

import pytest
import torch

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.embedding import whole_windows
from mscol_cli.engine.models import build_encoder
from mscol_cli.host import find_part, load_registry
from mscol_cli.host.checks.encoder import validate_encoder

NAMES = [entry.card.name for entry in load_registry().of_kind("encoder")]


def build(name: str) -> Encoder:
    return build_encoder(find_part(load_registry(), "encoder", name), seed=0)


@pytest.fixture(scope="module", params=NAMES)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return build(request.param)


def crops(encoder: Encoder, batch: int = 4) -> torch.Tensor:
    """Noise at the level the encoder asks for; -20 dB of full scale where it asks for none."""
    waveforms = torch.randn(batch, encoder.crop_samples, generator=torch.manual_seed(1))
    if encoder.level == "none":
        return 0.1 * waveforms
    return torch.nn.functional.normalize(waveforms, dim=1)


def test_the_bundled_ones_are_installed() -> None:
    assert {"efficientnet_b0", "small", "sample_cnn"} <= set(NAMES)


def test_the_host_takes_it_and_leaves_it_as_it_was(encoder: Encoder) -> None:
    state, before = torch.random.get_rng_state(), encoder.training
    validate_encoder(encoder)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert encoder.training == before


def test_it_says_how_to_cut(encoder: Encoder) -> None:
    assert encoder.start_grid <= encoder.window_hop
    assert len(whole_windows(encoder, encoder.crop_samples)) == 1


@pytest.mark.slow
def test_every_parameter_learns(encoder: Encoder) -> None:
    if not list(encoder.parameters()):
        pytest.skip("it has no weights")
    encoder.train().zero_grad()
    encoder(encoder.frontend(crops(encoder, batch=8))).square().mean().backward()
    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    encoder.zero_grad()


@pytest.mark.slow
def test_in_eval_mode_it_is_a_function_of_each_crop(encoder: Encoder) -> None:
    encoder.eval()
    waveforms = crops(encoder)
    with torch.inference_mode():
        together = encoder(encoder.frontend(waveforms))
        again = encoder(encoder.frontend(waveforms))
        alone = torch.cat([encoder(encoder.frontend(row[None])) for row in waveforms])
    torch.testing.assert_close(together, again, rtol=0, atol=0)
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


def test_different_crops_have_different_vectors(encoder: Encoder) -> None:
    encoder.eval()
    waveforms = crops(encoder, batch=2)
    with torch.inference_mode():
        first, second = encoder(encoder.frontend(waveforms))
    assert not torch.allclose(first, second)


def test_silence_has_a_finite_vector(encoder: Encoder) -> None:
    encoder.eval()
    with torch.inference_mode():
        silence = encoder(encoder.frontend(torch.zeros(1, encoder.crop_samples)))
    assert silence.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_its_weights_and_they_can_be_restored(name: str) -> None:
    first, second = build(name), build(name)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    second.load_state_dict(first.state_dict())


def test_one_without_a_front_end_is_refused_when_it_is_built() -> None:
    class Headless(Encoder):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features

    with pytest.raises(TypeError, match="frontend"):
        Headless()  # type: ignore[abstract]


@pytest.mark.slow
def test_the_compiler_makes_one_graph_of_it(encoder: Encoder) -> None:
    torch.compiler.reset()
    call = torch.compile(encoder.forward, backend="eager", fullgraph=True, dynamic=False)
    call(encoder.train().frontend(crops(encoder)))
