"""The small encoder: small, quick, and aware of where in frequency a pattern lies."""

import torch

from mscol_encoders.options import LogMelOptions
from mscol_encoders.small import SmallEncoder


def test_it_is_small() -> None:
    assert (
        100_000
        < sum(parameter.numel() for parameter in SmallEncoder(LogMelOptions()).parameters())
        < 300_000
    )


def test_a_shift_along_frequency_changes_the_vector_more_than_one_along_time() -> None:
    torch.manual_seed(0)
    encoder = SmallEncoder(LogMelOptions()).eval()
    middle = torch.full((98, 64), -11.5)
    middle[40:50, 16:20] = 0.0
    with torch.inference_mode():
        here, later, higher = encoder(
            torch.stack([middle, middle.roll(16, dims=0), middle.roll(16, dims=1)])
        )
    assert (here - higher).norm() > 3 * (here - later).norm()


def test_it_learns_to_tell_two_timbres_apart() -> None:
    torch.manual_seed(0)
    encoder = SmallEncoder(LogMelOptions())
    head = torch.nn.Linear(encoder.dim, 1)
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)
    waveforms, bright = torch.randn(32, 4000) / 60, torch.arange(32) % 2
    waveforms[bright == 0] = waveforms[bright == 0].cumsum(dim=1) / 30
    features, wanted = encoder.frontend(waveforms), bright.float()
    losses = []
    for _ in range(10):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            head(encoder(features)).squeeze(1), wanted
        )
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_the_layout_of_the_first_convolution_is_that_of_the_others() -> None:
    layouts = []
    encoder = SmallEncoder(LogMelOptions())
    for module in encoder.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_hook(lambda _module, _inputs, output: layouts.append(output))
    encoder(torch.zeros(2, 98, 64))
    is_last = [each.is_contiguous(memory_format=torch.channels_last) for each in layouts]
    assert is_last == [True] * 5
