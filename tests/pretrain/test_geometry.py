"""Alignment, uniformity and effective rank, against their papers written slowly."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mscol_cli.pretrain.geometry import MAX_PAIRS, effective_rank, geometry, gram_matrix


def views(pairs: int = 12, dim: int = 7) -> dict[str, torch.Tensor]:
    noise = torch.Generator().manual_seed(0)
    anchor = torch.randn(pairs, dim, generator=noise)
    return {"anchor": anchor, "positive": anchor + 0.5 * torch.randn(pairs, dim, generator=noise)}


def test_alignment_is_the_mean_squared_distance_of_pairs_on_the_sphere() -> None:
    a, b = (F.normalize(rows) for rows in views().values())
    slowly = np.mean([float((x - y).norm() ** 2) for x, y in zip(a, b, strict=True)])
    assert geometry(views())["alignment"] == pytest.approx(slowly, rel=1e-5)


def test_uniformity_is_the_mean_of_that_of_both_views() -> None:
    slowly = [
        float(torch.pdist(F.normalize(rows)).square().mul(-2).exp().mean().log())
        for rows in views().values()
    ]
    assert geometry(views())["uniformity"] == pytest.approx(np.mean(slowly), rel=1e-5)


def test_effective_rank_is_the_exponential_of_the_entropy_of_singular_values() -> None:
    both = torch.cat(list(views().values())).double()
    share = np.linalg.svd(both.numpy(), compute_uv=False)
    share /= share.sum()
    slowly = np.exp(-np.sum(share * np.log(share)))
    assert geometry(views())["effective_rank"] == pytest.approx(slowly, rel=1e-5)
    assert effective_rank(gram_matrix(torch.eye(5))) == pytest.approx(5)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_equal_embeddings_have_rank_one(value: float) -> None:
    rows = torch.full((8, 5), value)
    found = geometry({"anchor": rows, "positive": rows})
    assert found["effective_rank"] == pytest.approx(1, abs=1e-5)


def test_a_large_batch_costs_no_more_and_pairs_stay_pairs() -> None:
    many = views(3 * MAX_PAIRS)
    some = {name: rows[::3] for name, rows in many.items()}
    assert geometry(many) == geometry(some)


def test_what_cannot_be_computed_is_left_out() -> None:
    assert geometry({}) == geometry({"anchor": torch.full((4, 3), torch.nan)}) == {}
    assert geometry({"only": torch.eye(4)}).keys() == {"effective_rank"}
