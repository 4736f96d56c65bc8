"""Operators of a piece of work: kinds, FLOPs and bytes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.operators import record


@pytest.mark.slow
def test_convolutions_count_by_shape_and_direction_and_views_not_at_all() -> None:
    x = torch.randn(2, 8, 6, 6)
    pointwise, depthwise = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 8, 3, groups=8)

    def work() -> None:
        pointwise(x).sum().backward()
        depthwise(x).flatten()

    calls = {call.kind: call for call in record(work, 1) if "convolutions" in call.kind}
    assert calls["pointwise convolutions"].flops == 2 * (2 * 4 * 36) * 8
    # The input needs no gradient.
    assert calls["pointwise convolutions, backward"].flops == 2 * (2 * 4 * 36) * 8
    assert calls["depthwise convolutions"].flops == 2 * (2 * 8 * 16) * 9
    assert calls["depthwise convolutions"].moved == 4 * (2 * 8 * 36 + 2 * 8 * 16 + 8 * 9 + 8)


@pytest.mark.slow
def test_matrix_products_count_twice_their_multiplications() -> None:
    left, right = torch.randn(3, 5), torch.randn(5, 7)
    with torch.no_grad():
        (product,) = record(lambda: left @ right, 1)
    assert (product.kind, product.flops) == ("matrix products", 2 * 3 * 5 * 7)
