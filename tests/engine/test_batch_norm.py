"""Batch normalisation on a CPU: torch's values and gradients, in sums that lose nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mscol_cli.engine.batch_norm import GlobalBatchNorm, globalise_batch_norm
from mscol_cli.errors import UsageError

SHAPES = [(6, 3), (6, 3, 40), (6, 3, 5, 7), (40, 3, 30, 20)]
LAYOUTS = [(shape, last) for shape in SHAPES for last in (False, True)[: 1 + (len(shape) == 4)]]
"""Shapes, and whether channels are last in memory, which they only are of images."""


def images(*shape: int, last: bool = False) -> Tensor:
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return rows.contiguous(memory_format=torch.channels_last) if last else rows


def pair(dimensions: int, **options: Any) -> tuple[nn.Module, GlobalBatchNorm]:
    """torch's, and ours in place of the same, in float64."""
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[dimensions]
    theirs, ours = (kind(3, **options).double() for _ in range(2))
    for module in (theirs, ours):
        for number, weights in enumerate(module.parameters()):
            weights.data = torch.tensor([0.5, 1.5, -2.0], dtype=torch.float64) + number
    return theirs, GlobalBatchNorm(ours)


@pytest.mark.parametrize(("shape", "last"), LAYOUTS)
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"momentum": None}, {"eps": 1e-3}])
def test_values_gradients_and_statistics_are_those_of_torch(
    shape: tuple[int, ...], last: bool, options: dict[str, Any]
) -> None:
    found = []
    for module in pair(len(shape), **options):
        rows = images(*shape, last=last).requires_grad_()
        for _ in range(2):
            normalised = module(rows)
        normalised.pow(3).sum().backward()
        gradients = [weights.grad for weights in module.parameters()]
        module.eval()
        found.append([normalised, rows.grad, *gradients, *module.buffers(), module(rows)])
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_nothing_is_lost_where_many_rows_are_alike() -> None:
    exact = images(128, 3, 48, 32, last=True)
    exact[::2] = torch.tensor([3.0, -2.0, 1.7], dtype=torch.float64).view(1, 3, 1, 1)
    theirs, ours = pair(4)
    expected = theirs(exact).detach()
    found = [module.float()(exact.float()).detach() for module in (theirs, ours)]
    errors = [float((values - expected).abs().max()) for values in found]
    assert errors[1] < 3e-6
    assert errors[0] > 10 * errors[1], "torch's own is as exact now, and would do"


def test_evaluation_is_left_to_torch() -> None:
    theirs, ours = pair(4)
    rows = images(6, 3, 5, 7)
    assert torch.equal(ours.eval()(rows), theirs.eval()(rows))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_names_and_what_comes_after_are_kept_on_any_device(device: str) -> None:
    norm = nn.BatchNorm2d(3)
    norm.act = nn.SiLU()
    encoder = nn.Sequential(norm, nn.ReLU())
    names = list(encoder.state_dict())
    rows = images(6, 3, 5, 7).float()
    expected = nn.functional.silu(norm(rows)).relu()
    norm.reset_running_stats()
    replaced = globalise_batch_norm(encoder, torch.device(device))
    kind = {"cpu": GlobalBatchNorm, "cuda": nn.SyncBatchNorm}[device]
    assert [type(module) is nn.ReLU or isinstance(module, kind) for module in encoder] == [True] * 2
    assert list(replaced.state_dict()) == names
    # SyncBatchNorm takes a CPU where there is one process.
    torch.testing.assert_close(replaced(rows), expected)


def test_synchronised_batch_norm_of_a_gpu_is_torchs_in_a_single_process() -> None:
    plain = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)).train()
    synchronised = copy.deepcopy(plain)
    globalise_batch_norm(synchronised, torch.device("cuda"))
    images = torch.randn(5, 2, 8, 8)
    assert torch.equal(plain(images), synchronised(images))
    states = plain.state_dict(), synchronised.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class LastAxis(nn.BatchNorm1d):
    """For (batch, time, channels)."""

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows.transpose(1, 2)).transpose(1, 2)


class Frozen(nn.BatchNorm1d):
    def train(self, mode: bool = True) -> Frozen:
        return super().train(mode and False)


def test_what_computes_something_else_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    hooked = nn.BatchNorm1d(3)
    hooked.register_forward_hook(lambda *_: None)
    layers = nn.Sequential(LastAxis(3), Frozen(3), hooked)
    globalise_batch_norm(layers, torch.device("cpu"))
    assert [type(layer) for layer in layers] == [LastAxis, Frozen, nn.BatchNorm1d]
    assert layers[0](torch.randn(2, 5, 3)).shape == (2, 5, 3)
    monkeypatch.setattr("mscol_cli.system.distributed.world_size", lambda: 2)
    with pytest.raises(UsageError, match="LastAxis changes torch's batch normalisation"):
        globalise_batch_norm(layers, torch.device("cpu"))
